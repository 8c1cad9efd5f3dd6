"""Listening sockets: making one, and leaving a shared port without losing anybody. Used by `listener`."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct

from penstock.errors import MachineError

_SO_ATTACH_FILTER = 26
"""Linux's number; Python has no name for it."""

_DROP_NEWCOMERS = (
    (0x30, 0, 0, 13),  # load the byte that holds TCP's flags
    (0x54, 0, 0, 0x12),  # of them SYN and ACK
    (0x15, 0, 1, 0x02),  # only SYN: the first word of a client
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0x7FFFFFFF),  # let all else through
)
"""A classic packet filter: operation, jumps, operand."""


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that is bound to the address, not yet listening. Raises MachineError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise MachineError(
            f"gateway.host is {host!r}, which is no address of this machine: {error.strerror or error}.",
            remedy="Use 127.0.0.1 for this machine alone, or 0.0.0.0 for all its networks.",
        ) from error
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setblocking(False)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise _cannot_bind(host, port, error) from error
    return sock


def _cannot_bind(host: str, port: int, error: OSError) -> MachineError:
    if error.errno == errno.EADDRINUSE:
        return MachineError(
            f"Port {port} of {host} is in use by another program.",
            remedy="Stop that program, or choose another port: gateway.port in the document.",
        )
    if error.errno == errno.EACCES:
        return MachineError(
            f"This user may not listen on port {port}.",
            remedy="Choose a port above 1023: gateway.port in the document.",
        )
    return MachineError(
        f"Cannot listen on {host}:{port}: {error.strerror}.",
        remedy="gateway.host must be an address of this machine; 0.0.0.0 means all of them.",
    )


def refuse_newcomers(listening: socket.socket) -> bool:
    """Let the kernel drop, unanswered, the first packets of connections to this socket; what has begun goes on.

    When a listener of a shared port (SO_REUSEPORT) closes, Linux resets the connections that wait to be accepted, and
    those whose handshake is under way, and until it is closed it gets its share of new ones. A dropped first packet is
    sent again after a second, and then falls to another listener. Needs no privilege.

    Returns:
        False where the kernel has no such filters.
    """
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in _DROP_NEWCOMERS)
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(_DROP_NEWCOMERS), ctypes.addressof(held))
    try:
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return False
    return True


def take_waiting(listening: socket.socket) -> list[socket.socket]:
    """Connections that wait to be accepted by a socket that does not block."""
    taken: list[socket.socket] = []
    while True:
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            return taken
        except OSError:
            # That client has left meanwhile, or this process may open no more files.
            return taken
        connection.setblocking(False)
        taken.append(connection)
