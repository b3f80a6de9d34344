"""Database tokens for tests, made as operators make them."""

from datetime import timedelta

from django.utils import timezone

from access.actions.tokens import TokenWish, create_token, revoke_token
from access.actors import LOCAL_OPERATOR
from access.models import ApiToken


def make_token(name, *scopes, **wish):
    """Make a token and return it."""
    made = create_token(TokenWish(name, scopes, **wish), actor=LOCAL_OPERATOR, now=timezone.now())
    return made.secret


def revoke(name):
    """Take a token back."""
    revoke_token(name, actor=LOCAL_OPERATOR, now=timezone.now())


def let_expire(name):
    """Let a token's time be over."""
    ApiToken.objects.filter(name=name).update(expires_at=timezone.now() - timedelta(seconds=1))


def mistyped(token):
    """The token with one character changed."""
    return token[:-1] + ("a" if token[-1] != "a" else "b")
