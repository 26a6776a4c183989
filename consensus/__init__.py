"""How the validators agree: a pure state machine from (news, now) to wishes."""
