"""Deletion that can be undone, and studies of logged runs: columns on rows, and the table of the bin."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns in place: rebuilding `study` would break the rows that point to it."""
    op.add_column("study", sa.Column("kind", sa.String(), server_default="search", nullable=False))
    for table in ("study", "trial", "model_version"):
        op.add_column(table, sa.Column("deleted_at", sa.Float(), nullable=True))
    op.drop_index("ix_study_name", table_name="study")
    op.create_index("ix_study_name", "study", ["name"], unique=True, sqlite_where=sa.text("deleted_at IS NULL"))
    op.create_table(
        "binned",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(7), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_binned_request_id", "binned", ["request_id"], unique=False)
    op.create_index("ix_binned_state", "binned", ["state"], unique=False)
