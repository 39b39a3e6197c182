"""An index of the folders of attempts: logged runs are found by theirs."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_attempt_folder", "attempt", ["folder"], unique=False)
