"""The HTTP edge: one route, one method call; every error is a problem document (RFC 9457)."""
