"""The breaker of an application that has its own, in Python over SQLAlchemy, for breaker_orm.rs.

Knows the columns that such an application knows, and no function of the extension. Takes a command per line on standard input, as a
JSON object whose "do" names a function below and whose other keys are its arguments, and answers each by a line.
"""

import asyncio
import json
import os
import sys
import uuid
from datetime import datetime, timedelta, timezone

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Float, Integer, Text, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import declarative_base

NAME = "costsim_v2"
DRIFT_THRESHOLD = 0.2
SCHEMA_ERROR_THRESHOLD = 5
DISABLE_TTL = timedelta(hours=24)

Base = declarative_base()


class State(Base):
    __tablename__ = "costsim_cb_state"

    id = Column(BigInteger, primary_key=True, autoincrement=True)
    name = Column(Text, nullable=False, unique=True)
    disabled = Column(Boolean, nullable=False, default=False)
    disabled_by = Column(Text)
    disabled_reason = Column(Text)
    disabled_until = Column(DateTime(timezone=True))
    incident_id = Column(Text)
    consecutive_failures = Column(Integer, nullable=False, default=0)
    last_failure_at = Column(DateTime(timezone=True))
    updated_at = Column(DateTime(timezone=True), nullable=False, server_default=func.now(), onupdate=func.now())
    created_at = Column(DateTime(timezone=True), nullable=False, server_default=func.now())


class Incident(Base):
    __tablename__ = "costsim_cb_incidents"

    id = Column(Text, primary_key=True)
    circuit_breaker_name = Column(Text, nullable=False)
    timestamp = Column(DateTime(timezone=True), nullable=False, server_default=func.now())
    reason = Column(Text, nullable=False)
    severity = Column(Text, nullable=False)
    drift_score = Column(Float)
    sample_count = Column(Integer)
    details_json = Column(Text)
    resolved = Column(Boolean, nullable=False, default=False)
    resolved_at = Column(DateTime(timezone=True))
    resolved_by = Column(Text)
    resolution_notes = Column(Text)
    alert_sent = Column(Boolean, nullable=False, default=False)
    alert_sent_at = Column(DateTime(timezone=True))
    alert_response = Column(Text)


def now():
    return datetime.now(timezone.utc)


def shown(row):
    """A row as it is answered: what JSON has no word for, as text."""
    values = {column.key: getattr(row, column.key) for column in row.__table__.columns}
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}


async def state_of(session, lock=False):
    """Gets the breaker's row, or makes it."""
    query = select(State).where(State.name == NAME)
    state = (await session.execute(query.with_for_update() if lock else query)).scalar_one_or_none()
    if state is None:
        state = State(name=NAME, disabled=False, consecutive_failures=0, updated_at=now(), created_at=now())
        session.add(state)
        await session.flush()
    return state


async def trip(session, state, reason, severity, by, score, samples, details=None, until=None):
    incident = Incident(
        id=str(uuid.uuid4())[:12],
        circuit_breaker_name=NAME,
        timestamp=now(),
        reason=reason,
        severity=severity,
        drift_score=score,
        sample_count=samples,
        details_json=json.dumps(details) if details else None,
        resolved=False,
    )
    session.add(incident)
    state.disabled = True
    state.disabled_by = by
    state.disabled_reason = reason
    state.disabled_until = until or now() + DISABLE_TTL
    state.incident_id = incident.id
    state.updated_at = now()
    await session.flush()
    return incident.id


async def close(session, state):
    """The incident it had."""
    incident_id = state.incident_id
    state.disabled = False
    state.disabled_by = state.disabled_reason = state.disabled_until = state.incident_id = None
    state.consecutive_failures = 0
    state.updated_at = now()
    await session.flush()
    return incident_id


async def get_or_create(session):
    return shown(await state_of(session))


async def report_drift(session, score, samples=1, details=None, failure_threshold=3):
    state = await state_of(session, lock=True)
    if score > DRIFT_THRESHOLD:
        state.consecutive_failures += 1
        state.last_failure_at = state.updated_at = now()
        await session.flush()
        if state.consecutive_failures >= failure_threshold:
            reason = f"a drift of {score:.4f} is more than {DRIFT_THRESHOLD}"
            return await trip(session, state, reason, "P1", "circuit_breaker", score, samples, details)
    elif state.consecutive_failures > 0:
        state.consecutive_failures = 0
        state.updated_at = now()
        await session.flush()
    return None


async def report_schema_error(session, count):
    if count < SCHEMA_ERROR_THRESHOLD:
        return None
    state = await state_of(session, lock=True)
    return await trip(session, state, f"{count} schema errors", "P3", "circuit_breaker", 1.0, count)


async def disable(session, reason, by, seconds=None):
    state = await state_of(session, lock=True)
    until = now() + timedelta(seconds=seconds) if seconds is not None else None
    if state.disabled and state.disabled_reason == reason and state.disabled_until == until:
        return None
    return await trip(session, state, reason, "P2", by, 0.0, 0, {"manual_disable": True}, until)


async def enable(session):
    """Closes it, and answers with the incident, which is resolved afterwards."""
    state = await state_of(session, lock=True)
    return await close(session, state) if state.disabled else None


async def resolve(session, incident_id, by, notes):
    incident = (await session.execute(select(Incident).where(Incident.id == incident_id))).scalar_one_or_none()
    if incident is not None:
        incident.resolved = True
        incident.resolved_at = now()
        incident.resolved_by = by
        incident.resolution_notes = notes
        await session.flush()
    return incident is not None


async def is_disabled(session):
    state = (await session.execute(select(State).where(State.name == NAME))).scalar_one_or_none()
    if state is None or not state.disabled:
        return False
    if state.disabled_until is None or now() < state.disabled_until:
        return True
    return not await recover(state.id)


async def recover(state_id):
    """Its time is over: closes it in a transaction, and resolves its incident in another."""
    async with AsyncSession(ENGINE) as session, session.begin():
        query = select(State).where(State.id == state_id).with_for_update()
        state = (await session.execute(query)).scalar_one_or_none()
        if state is None or not state.disabled:
            return state is not None
        if state.disabled_until is None or now() < state.disabled_until:
            return False
        incident_id = await close(session, state)
    if incident_id is not None:
        async with AsyncSession(ENGINE) as session, session.begin():
            await resolve(session, incident_id, "system-auto-recover", "its time was over")
    return True


async def incidents(session, include_resolved=False, limit=10):
    query = select(Incident).where(Incident.circuit_breaker_name == NAME)
    if not include_resolved:
        query = query.where(Incident.resolved == False)  # noqa: E712
    query = query.order_by(Incident.timestamp.desc()).limit(limit)
    return [shown(incident) for incident in (await session.execute(query)).scalars()]


COMMANDS = [get_or_create, report_drift, report_schema_error, disable, enable, resolve, is_disabled, incidents]

URL = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg")
ENGINE = create_async_engine(URL, connect_args={"server_settings": {"statement_timeout": "30s"}})


async def main():
    commands = {command.__name__: command for command in COMMANDS}
    session = None  # the one whose transaction goes on
    while line := await asyncio.to_thread(sys.stdin.readline):
        arguments = json.loads(line)
        name, goes_on = arguments.pop("do"), arguments.pop("goes_on", False)
        session = session or AsyncSession(ENGINE)
        answer = None
        try:
            if name in commands:
                answer = {"answer": await commands[name](session, **arguments)}
            if name == "rollback":
                await session.rollback()
            elif not goes_on:
                await session.commit()
        except DBAPIError as error:
            answer, goes_on = {"error": str(error.orig)}, False
        if not goes_on:
            await session.close()
            session = None
        print(json.dumps(answer or {"answer": None}), flush=True)
    await ENGINE.dispose()


asyncio.run(main())
