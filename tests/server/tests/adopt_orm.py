"""An application that has made the five tables by its own ORM, in Python over SQLAlchemy, for adopt.rs.

Knows the columns that such an application knows, and no function of the extension. Takes a command per line on standard input, as a
JSON object whose "do" names a function below and whose other keys are its arguments, and answers each by a line. Each is a transaction.
"""

import asyncio
import json
import os
import sys
from datetime import datetime, timedelta, timezone

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Float, Index, Integer, Text, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import declarative_base

Base = declarative_base()


def moment(**more):
    return Column(DateTime(timezone=True), **more)


def now_by_default():
    return moment(nullable=False, server_default=func.now())


class State(Base):
    __tablename__ = "costsim_cb_state"
    id = Column(BigInteger, primary_key=True, autoincrement=True)
    name = Column(Text, nullable=False, unique=True)
    disabled = Column(Boolean, nullable=False, default=False)
    disabled_by = Column(Text)
    disabled_reason = Column(Text)
    disabled_until = moment()
    incident_id = Column(Text)
    consecutive_failures = Column(Integer, nullable=False, default=0)
    last_failure_at = moment()
    updated_at = moment(nullable=False, server_default=func.now(), onupdate=func.now())
    created_at = now_by_default()


class Incident(Base):
    __tablename__ = "costsim_cb_incidents"
    id = Column(Text, primary_key=True)
    circuit_breaker_name = Column(Text, nullable=False)
    timestamp = now_by_default()
    reason = Column(Text, nullable=False)
    severity = Column(Text, nullable=False)
    drift_score = Column(Float)
    sample_count = Column(Integer)
    details_json = Column(Text)
    resolved = Column(Boolean, nullable=False, default=False)
    resolved_at = moment()
    resolved_by = Column(Text)
    resolution_notes = Column(Text)
    alert_sent = Column(Boolean, nullable=False, default=False)
    alert_sent_at = moment()
    alert_response = Column(Text)
    __table_args__ = (Index("idx_costsim_cb_incidents_cb_name", "circuit_breaker_name"),)


class Provenance(Base):
    __tablename__ = "costsim_provenance"
    id = Column(BigInteger, primary_key=True, autoincrement=True)
    run_id = Column(Text, index=True)
    tenant_id = Column(Text, index=True)
    variant_slug = Column(Text)
    source = Column(Text)
    model_version = Column(Text)
    adapter_version = Column(Text)
    commit_sha = Column(Text)
    input_hash = Column(Text, index=True)
    output_hash = Column(Text)
    v1_cost = Column(Float)
    v2_cost = Column(Float)
    cost_delta = Column(Float)
    payload = Column(JSONB)
    runtime_ms = Column(Integer)
    created_at = now_by_default()


class Alert(Base):
    __tablename__ = "costsim_alert_queue"
    id = Column(BigInteger, primary_key=True, autoincrement=True)
    payload = Column(JSONB, nullable=False)
    alert_type = Column(Text)
    circuit_breaker_name = Column(Text)
    incident_id = Column(Text)
    attempts = Column(Integer, nullable=False, default=0)
    max_attempts = Column(Integer, nullable=False, default=10)
    last_attempt_at = moment()
    next_attempt_at = now_by_default()
    last_error = Column(Text)
    status = Column(Text, nullable=False, default="pending")
    created_at = now_by_default()
    __table_args__ = (
        Index("idx_costsim_alert_queue_pending_ready", "status", "next_attempt_at", postgresql_where=text("status = 'pending'")),
    )


class Report(Base):
    __tablename__ = "costsim_canary_reports"
    id = Column(BigInteger, primary_key=True, autoincrement=True)
    run_id = Column(Text, nullable=False)
    timestamp = now_by_default()
    status = Column(Text, nullable=False)
    total_samples = Column(Integer, nullable=False, default=0)
    matching_samples = Column(Integer, nullable=False, default=0)
    minor_drift_samples = Column(Integer, nullable=False, default=0)
    major_drift_samples = Column(Integer, nullable=False, default=0)
    median_cost_diff = Column(Float)
    p90_cost_diff = Column(Float)
    kl_divergence = Column(Float)
    outlier_count = Column(Integer)
    passed = Column(Boolean, nullable=False, default=True)
    failure_reasons_json = Column(Text)
    artifact_paths_json = Column(Text)
    golden_comparison_json = Column(Text)
    created_at = now_by_default()
    __table_args__ = (Index("idx_costsim_canary_run_id", "run_id", unique=True),)


MODELS = {model.__tablename__: model for model in [State, Incident, Provenance, Alert, Report]}


def now():
    return datetime.now(timezone.utc)


async def create_all(session):
    """Makes the tables that are not there: what an application does at its start."""
    connection = await session.connection()
    await connection.run_sync(Base.metadata.create_all)


async def seed(session, rows=20):
    """Rows of every kind, as the former system leaves them behind."""
    long_ago = now() - timedelta(days=40)
    session.add(State(name="costsim_v2", disabled=True, disabled_by="circuit_breaker", disabled_reason="drift", incident_id="inc-open",
                      disabled_until=now() + timedelta(hours=20), consecutive_failures=3, last_failure_at=now()))
    session.add(State(name="other", consecutive_failures=1))
    for name, resolved in [("inc-done", True), ("inc-orphan", False), ("inc-open", False)]:
        session.add(Incident(id=name, circuit_breaker_name="costsim_v2", reason="drift", severity="P1", drift_score=0.4, sample_count=7,
                             details_json='{"window": 7}', resolved=resolved, timestamp=long_ago))
        long_ago += timedelta(hours=1)
    for n in range(rows):
        session.add(Provenance(run_id=f"run-{n}", tenant_id=f"t{n % 3}", variant_slug="v2", source="sandbox", input_hash=f"{n % 15:016x}",
                               v1_cost=10.0 + n, v2_cost=11.0 + n, cost_delta=1.0, payload={"n": n}, runtime_ms=n, created_at=long_ago))
    session.add(Provenance(variant_slug="v1", source="backfill", v1_cost=float("nan")))
    for status, at in [("sent", long_ago), ("failed", long_ago), ("pending", long_ago), ("pending", now())]:
        session.add(Alert(payload=[{"labels": {"alertname": "CostSimV2Disabled"}}], alert_type="disable", status=status, created_at=at))
    for n, status in enumerate(["pass", "fail", "error"]):
        session.add(Report(run_id=f"canary-{n}", status=status, passed=status == "pass", total_samples=100, kl_divergence=0.5))
    await session.flush()


async def write_provenance(session, run_id):
    """One row, as the driver writes it: the id comes back by RETURNING."""
    row = Provenance(run_id=run_id, tenant_id="t1", variant_slug="v2", source="sandbox", v1_cost=1.0, v2_cost=3.0, cost_delta=2.0, payload={"a": [1]})
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return {"id": row.id, "created_at": row.created_at.isoformat()}


async def open_incident(session, name, incident_id):
    """Trips a breaker: get or create, lock, incident, alert."""
    await session.execute(insert(State).values(name=name, disabled=False, consecutive_failures=0).on_conflict_do_nothing(index_elements=["name"]))
    state = (await session.execute(select(State).where(State.name == name).with_for_update())).scalar_one()
    session.add(Incident(id=incident_id, circuit_breaker_name=name, reason="by the application", severity="P1", resolved=False))
    state.disabled, state.incident_id, state.disabled_until = True, incident_id, now() + timedelta(hours=1)
    session.add(Alert(payload=[{"labels": {"alertname": "CostSimV2Disabled"}}], alert_type="disable", incident_id=incident_id))
    await session.flush()


async def enable(session, name):
    state = (await session.execute(select(State).where(State.name == name).with_for_update())).scalar_one()
    incident_id = state.incident_id
    state.disabled, state.incident_id, state.disabled_until, state.consecutive_failures = False, None, None, 0
    await session.flush()
    values = {"resolved": True, "resolved_by": "app", "resolved_at": now()}
    await session.execute(update(Incident).where(Incident.id == incident_id).values(**values))
    return incident_id


async def deliver(session, limit=10):
    """A batch of the alert worker: rows are claimed by SKIP LOCKED and marked."""
    query = select(Alert).where(Alert.status == "pending", Alert.next_attempt_at <= now()).order_by(Alert.next_attempt_at)
    alerts = (await session.execute(query.limit(limit).with_for_update(skip_locked=True))).scalars().all()
    for alert in alerts:
        alert.status = "sent"
    await session.flush()
    return [alert.id for alert in alerts]


async def purge(session):
    return (await session.execute(delete(Alert).where(Alert.status == "failed"))).rowcount


async def report(session, run_id):
    row = Report(run_id=run_id, status="pass", passed=True, total_samples=4)
    session.add(row)
    await session.flush()
    return row.id


async def rows(session, table):
    """A whole table, as the ORM reads it."""
    found = (await session.execute(select(MODELS[table]).order_by(MODELS[table].id))).scalars().all()
    shown = []
    for row in found:
        values = {column.key: getattr(row, column.key) for column in row.__table__.columns}
        shown.append({key: str(value) if isinstance(value, (datetime, float)) else value for key, value in values.items()})
    return shown


async def sql(session, statement):
    """A statement in the application's own words."""
    result = await session.execute(text(statement))
    return [list(map(str, row)) for row in result] if result.returns_rows else result.rowcount


COMMANDS = [create_all, seed, write_provenance, open_incident, enable, deliver, purge, report, rows, sql]

URL = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg")
ENGINE = create_async_engine(URL, connect_args={"server_settings": {"statement_timeout": "30s"}})


async def main():
    commands = {command.__name__: command for command in COMMANDS}
    while line := await asyncio.to_thread(sys.stdin.readline):
        arguments = json.loads(line)
        name = arguments.pop("do")
        try:
            async with AsyncSession(ENGINE) as session, session.begin():
                answer = {"answer": await commands[name](session, **arguments)}
        except DBAPIError as error:
            answer = {"error": str(error.orig)}
        print(json.dumps(answer), flush=True)
    await ENGINE.dispose()


asyncio.run(main())
