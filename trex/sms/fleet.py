"""What the hosts of a fleet share in Redis: the counts, the clock, and spent codes."""

from contextlib import suppress

import redis

from trex.sms.counts import DAY, HOUR, SPANS, too_many
from trex.sms.errors import StateUnusable

SECONDS = 3  # for one answer
TRIED = "trex:doctor"
# Each key is a sorted set of messages: the score is the time, the member a serial number. A script
# is atomic.
ADD = """\
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local messages = tonumber(ARGV[1])
for i = 1, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - tonumber(ARGV[2]))
  redis.call('ZREMRANGEBYSCORE', KEYS[i], now + 3600, '+inf')  -- of a clock that was far ahead
end
for i = 3, #ARGV, 3 do
  local since = '(' .. string.format('%.6f', now - tonumber(ARGV[i + 1]))
  local sent = redis.call('ZCOUNT', KEYS[tonumber(ARGV[i])], since, '+inf')
  if sent + messages > tonumber(ARGV[i + 2]) then
    return (i - 3) / 3
  end
end
for i = 1, #KEYS do
  for n = 1, messages do
    local serial = redis.call('INCR', 'trex:sms:serial')
    redis.call('ZADD', KEYS[i], now, string.format('%d', serial))
  end
  redis.call('EXPIRE', KEYS[i], tonumber(ARGV[2]))
end
return -1
"""
# The value tells which login has the code: it may claim it again, and only it may release it.
CLAIM = """\
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', tonumber(ARGV[2])) then
  return 1
end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
"""
RELEASE = """\
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
"""


class RedisCounts:
    """Redis 5 or later, Valkey, or another server with that protocol."""

    def __init__(self, url: str) -> None:
        """Connect to `redis://`, `rediss://` (TLS, verified) or `unix://`. Raises StateUnusable."""
        options: dict[str, int] = {"socket_timeout": SECONDS}  # for connecting, too
        if url.startswith("rediss://"):  # by default any host's trusted certificate would do
            options["ssl_check_hostname"] = True
        try:
            self._server = redis.Redis.from_url(url, **options)
            self._add = self._server.register_script(ADD)
        except (redis.RedisError, ValueError) as error:
            raise _unreachable(error) from None

    def add(self, user: str, host: str, messages: int, limits: dict[str, int]) -> None:
        """See Counts: a user's messages count for the whole fleet, a host's for that host."""
        keys = _keys(user, host)
        arguments: list[int] = [messages, DAY]
        for name, most in limits.items():
            arguments += [1 if name.startswith("user") else 2, SPANS[name], most]
        try:
            reached = int(self._add(keys=keys, args=arguments))
        except redis.RedisError as error:
            raise _unreachable(error) from None
        if reached >= 0:
            name = list(limits)[reached]
            raise too_many(name, limits[name])

    def reached(
        self, user: str, host: str, messages: int, limits: dict[str, int]
    ) -> dict[str, float | None]:
        """See trex.sms.counts.Counts.

        This writes one key that expires in a second: a replica, or a server that is full or has
        lost its replicas, still answers reads but refuses writes.
        """
        keys = _keys(user, host)
        waits: dict[str, float | None] = {}
        try:
            self._server.set(TRIED, 1, ex=1)
            seconds, microseconds = self._server.time()
            now = seconds + microseconds / 1_000_000
            for name, most in limits.items():
                key, allowed = keys[0 if name.startswith("user") else 1], most - messages
                # Newest first: the first message beyond the limit.
                span = f"({now + HOUR:.6f}", f"({now - SPANS[name]:.6f}"  # as ADD leaves them
                found = self._server.zrevrangebyscore(
                    key, *span, max(0, allowed), 1, withscores=True
                )
                if allowed < 0:
                    waits[name] = None
                elif found:
                    waits[name] = found[0][1] + SPANS[name] - now
        except redis.RedisError as error:
            raise _unreachable(error) from None
        return waits

    def reset(self, user: str) -> int:
        """See trex.sms.counts.Counts: for the whole fleet."""
        key, _ = _keys(user, "")
        try:
            counted, _ = self._server.pipeline().zcard(key).delete(key).execute()
        except redis.RedisError as error:
            raise _unreachable(error) from None
        return int(counted)

    def claim(self, name: str, token: str) -> bool:
        """Claim a name for a day, longer than a code is valid; tell whether it was free.

        Raises StateUnusable. Redis may have claimed it although its answer was lost: the login is
        refused then, so the name is released if Redis can be reached again.
        """
        try:
            return bool(self._server.eval(CLAIM, 1, _code(name), token, DAY))
        except redis.RedisError as error:
            with suppress(StateUnusable):
                self.release(name, token)
            raise _unreachable(error) from None

    def release(self, name: str, token: str) -> None:
        """Release a name, but only if `token` has claimed it. Raises StateUnusable."""
        try:
            self._server.eval(RELEASE, 1, _code(name), token)
        except redis.RedisError as error:
            raise _unreachable(error) from None


def _code(name: str) -> str:
    return f"trex:otp:{name}"


def _keys(user: str, host: str) -> list[str]:
    return [f"trex:sms:user:{user}", f"trex:sms:host:{host}"]


def _unreachable(error: Exception) -> StateUnusable:
    """Return an error without the library's message, which may contain the URL and its password."""
    cause = error.__context__
    if isinstance(cause, (PermissionError, FileNotFoundError)):  # of a Unix socket
        return StateUnusable(f"Redis cannot be asked: {cause.strerror}")
    return StateUnusable(f"Redis cannot be asked: {type(error).__name__}")
