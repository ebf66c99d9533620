"""Audits of rewards: probes from both sides, and saved rollouts graded again."""

from rlvr.audit.probing import AuditResult, audit

__all__ = ["AuditResult", "audit"]
