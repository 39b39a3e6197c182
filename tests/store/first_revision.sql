-- A database of revision 0001. Never edit: it stands for files that people have.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE attempt (
	id INTEGER NOT NULL,
	study_id INTEGER NOT NULL,
	trial_id INTEGER,
	kind VARCHAR NOT NULL,
	number INTEGER NOT NULL,
	folder VARCHAR NOT NULL,
	state VARCHAR(7) NOT NULL,
	slot VARCHAR NOT NULL,
	handle JSON NOT NULL,
	ingest_offset INTEGER NOT NULL,
	bad_lines INTEGER NOT NULL,
	phase VARCHAR NOT NULL,
	done FLOAT NOT NULL,
	total FLOAT NOT NULL,
	rate FLOAT NOT NULL,
	unit VARCHAR NOT NULL,
	outcome JSON NOT NULL,
	exit_class VARCHAR NOT NULL,
	exit_code INTEGER,
	exit_signal INTEGER,
	log_tail VARCHAR NOT NULL,
	max_rss_mb FLOAT,
	stop_reason VARCHAR NOT NULL,
	started_at FLOAT NOT NULL,
	ended_at FLOAT,
	PRIMARY KEY (id),
	FOREIGN KEY(study_id) REFERENCES study (id),
	FOREIGN KEY(trial_id) REFERENCES trial (id)
);
INSERT INTO "attempt" VALUES(1,1,1,'trial',1,'runs/squad/0000-1','ENDED','cpu-0','{}',0,0,'',0.0,0.0,0.0,'','{}','complete',0,NULL,'',NULL,'',3.0,5.0);
CREATE TABLE checkpoint (
	id INTEGER NOT NULL,
	trial_id INTEGER NOT NULL,
	attempt_id INTEGER NOT NULL,
	role VARCHAR NOT NULL,
	step INTEGER NOT NULL,
	folder VARCHAR NOT NULL,
	sha256 VARCHAR NOT NULL,
	size_bytes INTEGER NOT NULL,
	metrics JSON NOT NULL,
	created_at FLOAT NOT NULL,
	dropped_at FLOAT,
	PRIMARY KEY (id),
	FOREIGN KEY(attempt_id) REFERENCES attempt (id),
	FOREIGN KEY(trial_id) REFERENCES trial (id)
);
CREATE TABLE lease (
	id INTEGER NOT NULL,
	host VARCHAR NOT NULL,
	pid INTEGER NOT NULL,
	start_time FLOAT NOT NULL,
	boot_id VARCHAR NOT NULL,
	acquired_at FLOAT NOT NULL,
	heartbeat_at FLOAT NOT NULL,
	released_at FLOAT,
	log VARCHAR NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE metric (
	series_id INTEGER NOT NULL,
	step INTEGER NOT NULL,
	value FLOAT,
	time FLOAT NOT NULL,
	PRIMARY KEY (series_id, step),
	FOREIGN KEY(series_id) REFERENCES series (id)
)
 WITHOUT ROWID

;
INSERT INTO "metric" VALUES(1,0,2.5,3.5);
INSERT INTO "metric" VALUES(1,1,1.5,4.0);
CREATE TABLE metric_rollup (
	series_id INTEGER NOT NULL,
	bucket INTEGER NOT NULL,
	points INTEGER NOT NULL,
	not_finite INTEGER NOT NULL,
	min_value FLOAT,
	max_value FLOAT,
	sum_value FLOAT NOT NULL,
	last_value FLOAT,
	last_time FLOAT NOT NULL,
	PRIMARY KEY (series_id, bucket),
	FOREIGN KEY(series_id) REFERENCES series (id)
)
 WITHOUT ROWID

;
INSERT INTO "metric_rollup" VALUES(1,0,2,0,1.5,2.5,4.0,1.5,4.0);
CREATE TABLE model_alias (
	name VARCHAR NOT NULL,
	alias VARCHAR NOT NULL,
	version_id INTEGER NOT NULL,
	previous_version_id INTEGER,
	set_at FLOAT NOT NULL,
	PRIMARY KEY (name, alias),
	FOREIGN KEY(version_id) REFERENCES model_version (id)
);
CREATE TABLE model_version (
	id INTEGER NOT NULL,
	name VARCHAR NOT NULL,
	version INTEGER NOT NULL,
	state VARCHAR NOT NULL,
	trial_id INTEGER NOT NULL,
	checkpoint_id INTEGER NOT NULL,
	attempt_folder VARCHAR NOT NULL,
	handle JSON NOT NULL,
	folder VARCHAR NOT NULL,
	sha256 VARCHAR NOT NULL,
	metrics JSON NOT NULL,
	report JSON NOT NULL,
	forced BOOLEAN NOT NULL,
	note VARCHAR NOT NULL,
	detail VARCHAR NOT NULL,
	who VARCHAR NOT NULL,
	created_at FLOAT NOT NULL,
	finished_at FLOAT,
	PRIMARY KEY (id),
	FOREIGN KEY(checkpoint_id) REFERENCES checkpoint (id),
	FOREIGN KEY(trial_id) REFERENCES trial (id),
	UNIQUE (name, version)
);
CREATE TABLE notice (
	id INTEGER NOT NULL,
	at FLOAT NOT NULL,
	level VARCHAR NOT NULL,
	study_id INTEGER,
	trial_id INTEGER,
	text VARCHAR NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(study_id) REFERENCES study (id),
	FOREIGN KEY(trial_id) REFERENCES trial (id)
);
CREATE TABLE request (
	id INTEGER NOT NULL,
	at FLOAT NOT NULL,
	who VARCHAR NOT NULL,
	verb VARCHAR NOT NULL,
	study_id INTEGER,
	trial_id INTEGER,
	arguments JSON NOT NULL,
	"before" JSON NOT NULL,
	handled_at FLOAT,
	outcome VARCHAR NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(study_id) REFERENCES study (id),
	FOREIGN KEY(trial_id) REFERENCES trial (id)
);
CREATE TABLE series (
	id INTEGER NOT NULL,
	study_id INTEGER NOT NULL,
	trial_id INTEGER NOT NULL,
	name VARCHAR NOT NULL,
	points INTEGER NOT NULL,
	last_step INTEGER,
	last_value FLOAT,
	min_value FLOAT,
	max_value FLOAT,
	not_finite INTEGER NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(study_id) REFERENCES study (id),
	UNIQUE (study_id, trial_id, name)
);
INSERT INTO "series" VALUES(1,1,1,'train/loss',2,1,1.5,1.5,2.5,0);
CREATE TABLE study (
	id INTEGER NOT NULL,
	name VARCHAR NOT NULL,
	state VARCHAR(8) NOT NULL,
	task VARCHAR NOT NULL,
	spec JSON NOT NULL,
	prepared JSON,
	diagnosis VARCHAR NOT NULL,
	created_at FLOAT NOT NULL,
	started_at FLOAT,
	finished_at FLOAT,
	busy_seconds FLOAT NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "study" VALUES(1,'squad','RUNNING','question-answering','{"name":"squad"}','null','',1.0,3.0,NULL,0.0);
CREATE TABLE trial (
	id INTEGER NOT NULL,
	study_id INTEGER NOT NULL,
	number INTEGER NOT NULL,
	state VARCHAR(10) NOT NULL,
	origin VARCHAR NOT NULL,
	parent_id INTEGER,
	params JSON NOT NULL,
	settings JSON NOT NULL,
	known JSON NOT NULL,
	metrics JSON NOT NULL,
	reason VARCHAR NOT NULL,
	detail VARCHAR NOT NULL,
	progress FLOAT NOT NULL,
	failures INTEGER NOT NULL,
	proposal_seed INTEGER,
	sampler VARCHAR NOT NULL,
	created_at FLOAT NOT NULL,
	started_at FLOAT,
	finished_at FLOAT,
	busy_seconds FLOAT NOT NULL,
	tags JSON NOT NULL,
	note VARCHAR NOT NULL,
	archived BOOLEAN NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(parent_id) REFERENCES trial (id),
	FOREIGN KEY(study_id) REFERENCES study (id),
	UNIQUE (study_id, number)
);
INSERT INTO "trial" VALUES(1,1,0,'COMPLETE','sampler',NULL,'{"layers":3}','{"layers":3}','{"params":9}','{}','','',1.0,0,NULL,'',2.0,3.0,5.0,0.0,'[]','',0);
CREATE UNIQUE INDEX ix_study_name ON study (name);
CREATE INDEX trial_by_state ON trial (study_id, state);
CREATE INDEX ix_attempt_state ON attempt (state);
CREATE INDEX ix_attempt_study_id ON attempt (study_id);
CREATE INDEX ix_attempt_trial_id ON attempt (trial_id);
CREATE INDEX ix_notice_study_id ON notice (study_id);
CREATE INDEX ix_request_handled_at ON request (handled_at);
CREATE INDEX ix_request_study_id ON request (study_id);
CREATE INDEX ix_checkpoint_trial_id ON checkpoint (trial_id);
CREATE INDEX ix_model_version_name ON model_version (name);
COMMIT;
