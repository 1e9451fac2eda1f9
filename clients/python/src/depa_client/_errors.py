"""Refusals: what the service or a check of ours says no with. Codes are stable; sentences are for people."""

from __future__ import annotations

from typing import Any

# What to do next, for the refusals that a user can mend alone.
NEXT = {
    "UNAUTHENTICATED": "pass key= with the key of a verified participant",
    "SIGNER_UNKNOWN": "two people of the SRO must verify the signer first",
    "PARTICIPANT_NOT_VERIFIED": "wait until two people of the SRO have decided",
    "PEER_UNREACHABLE": "check the address and that the service runs: depa doctor --registry URL",
    "BUDGET_EXCEEDED": "ask for less ε, or agree on a new contract",
    "KEY_WITHHELD": "the key is handed out after the run's completion",
}


class DepaError(Exception):
    """A refusal, as the service coded it or as a check of ours found it."""

    def __init__(
        self,
        code: str,
        sentence: str,
        *,
        status: int | None = None,
        field: str | None = None,
        instance: str | None = None,
    ) -> None:
        self.code = code
        self.sentence = sentence
        self.status = status
        self.field = field
        self.instance = instance
        super().__init__(self.text())

    @property
    def next_step(self) -> str | None:
        """What may help."""
        return NEXT.get(self.code)

    def text(self) -> str:
        """Code, sentence, place, next step."""
        at = f" (at {self.field})" if self.field else ""
        step = f"\nnext: {self.next_step}" if self.next_step else ""
        return f"{self.code}: {self.sentence}{at}{step}"

    @classmethod
    def of_problem(cls, status: int, document: Any) -> DepaError:
        """Reads an `application/problem+json` document, or an OAuth error."""
        if isinstance(document, dict):
            known: dict[str, Any] = document  # pyright: ignore[reportUnknownVariableType]
            code, sentence = known.get("code"), known.get("detail") or known.get("error_description")
            if isinstance(code, str) and isinstance(sentence, str):
                return cls(code, sentence, status=status, field=known.get("field"), instance=known.get("instance"))
        return cls("PEER_FAULT", f"the service answered with {status} and no problem document", status=status)
