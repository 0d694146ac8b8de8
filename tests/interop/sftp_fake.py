#!/usr/bin/python3
"""An SFTP server over paramiko (Debian's) that does one thing otherwise than OpenSSH's.

    sftp_fake.py HOST_KEY FOLDER FAULT

Serves FOLDER, without any of OpenSSH's extensions, to whoever has a key or
the password; prints its port. FAULT is one of:
plain (none), shuffled (pieces come in another order, and short), full, quota, names (lists what is no name of ours, and folders
without end), deep (a folder in each folder), long, number, kind, nothing, version, mute (wrong packets).
"""

import os
import pathlib
import socket
import stat
import struct
import sys
import threading

import paramiko

INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT = 1, 2, 3, 4, 5, 6, 7, 8
FSETSTAT, OPENDIR, READDIR, REMOVE, MKDIR, STAT, RENAME = 10, 11, 12, 13, 14, 17, 18
STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED, EXTENDED_REPLY = 101, 102, 103, 104, 105, 200, 201
OK, EOF, NO_SUCH_FILE, DENIED, FAILURE, UNSUPPORTED, QUOTA = 0, 1, 2, 3, 4, 8, 15
HOSTILE = [b".", b"..", b"../../escape", b"/etc/passwd", b"%2e%2e%2fescape", b"%2e%2e+", b"%2e%2e", b"x" * 300, b"y" * 70000,
           b"line\nbreak", b"\x1b[2Jclear", b"\xff\xfe", b"nul\0byte", b"Capital", b"%41%", b"+", b"", b"sp ace"]


def u32(value):
    return struct.pack(">I", value & 0xffffffff)


def text(value):
    return u32(len(value)) + value


def attrs(mode, size=5, when=1700000000):
    return u32(1 | 4 | 8) + struct.pack(">Q", size) + u32(mode) + u32(when) + u32(when)


def entry(name, mode=stat.S_IFREG | 0o600, size=5):
    return text(name) + text(b"a line for people") + attrs(mode, size)


class Session:
    """One SFTP session over a channel."""

    def __init__(self, channel, folder, fault):
        self.channel, self.folder, self.fault = channel, folder, fault
        self.handles, self.held = {}, []

    def receive(self, size):
        data = b""
        while len(data) < size:
            piece = self.channel.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def send(self, kind, number, body=b""):
        if self.fault == "number" and kind != VERSION:
            number += 1
        packet = bytes([kind]) + u32(number) + body
        self.channel.sendall((u32(len(packet)) if self.fault != "long" else u32(0xfffffff0)) + packet)

    def status(self, number, code):
        self.send(STATUS, number, u32(code) + text(b"told") + text(b""))

    def run(self):
        while True:
            (size,) = struct.unpack(">I", self.receive(4))
            packet = self.receive(size)
            self.arguments = packet[5:]
            kind, number = packet[0], struct.unpack(">I", packet[1:5])[0]
            try:
                self.answer(kind, number)
            except FileNotFoundError:
                self.status(number, NO_SUCH_FILE)
            except OSError:
                self.status(number, FAILURE)

    def take(self, form):
        size = struct.calcsize(form)
        (value,), self.arguments = struct.unpack(form, self.arguments[:size]), self.arguments[size:]
        return value

    def take_text(self):
        size = self.take(">I")
        value, self.arguments = self.arguments[:size], self.arguments[size:]
        return value

    def take_path(self):
        return os.path.join(os.fsencode(self.folder), self.take_text())

    def hand_out(self, number, what):
        handle = b"handle-%d" % number
        self.handles[handle] = what
        self.send(HANDLE, number, text(handle))

    def answer(self, kind, number):
        if kind == INIT:
            self.hello()
        elif kind == OPEN:
            path, flags = self.take_path(), self.take(">I")
            made = os.O_RDWR | os.O_CREAT | (os.O_EXCL if flags & 32 else 0) if flags & 8 else os.O_RDONLY
            self.hand_out(number, os.open(path, made, 0o600))
        elif kind == CLOSE:
            what = self.handles.pop(self.take_text())
            if isinstance(what, int):
                os.close(what)
            self.status(number, OK)
        elif kind == READ:
            self.read(number, self.handles[self.take_text()], self.take(">Q"), self.take(">I"))
        elif kind == WRITE:
            self.write(number, self.handles[self.take_text()], self.take(">Q"), self.take_text())
        elif kind in (LSTAT, STAT, FSTAT):
            found = os.fstat(self.handles[self.take_text()]) if kind == FSTAT else os.lstat(self.take_path())
            self.send(STATUS if self.fault == "kind" else ATTRS, number,
                      u32(OK) if self.fault == "kind" else attrs(found.st_mode, found.st_size, int(found.st_mtime)))
        elif kind == OPENDIR:
            self.hand_out(number, self.list(self.take_path()))
        elif kind == READDIR:
            self.read_folder(number, self.handles[self.take_text()])
        elif kind == REMOVE:
            os.unlink(self.take_path())
            self.status(number, OK)
        elif kind == MKDIR:
            os.mkdir(self.take_path(), 0o700)
            self.status(number, OK)
        elif kind == RENAME:
            old, new = self.take_path(), self.take_path()
            os.link(old, new)  # fails where something is
            os.unlink(old)
            self.status(number, OK)
        elif kind == EXTENDED and self.take_text() == b"statvfs@openssh.com" and self.fault == "full":
            self.send(EXTENDED_REPLY, number, struct.pack(">11Q", 4096, 4096, 100, 0, 0, 100, 50, 50, 1, 0, 255))
        else:
            self.status(number, OK if kind == FSETSTAT else UNSUPPORTED)

    def hello(self):
        if self.fault == "mute":
            return
        more = text(b"statvfs@openssh.com") + text(b"2") if self.fault == "full" else b""
        self.send(VERSION, 2 if self.fault == "version" else 3, more)

    def read(self, number, file, offset, size):
        if self.fault == "shuffled":  # four at a time, the last first, the odd ones short
            self.held.append((number, file, offset, size))
            if len(self.held) % 4 == 0 or offset + size >= os.fstat(file).st_size or size < 32768:
                for held in reversed(self.held):
                    self.give(*held[:3], held[3] // 2 + 1 if held[0] % 2 else held[3])
                self.held = []
        else:
            self.give(number, file, offset, size)

    def give(self, number, file, offset, size):
        data = os.pread(file, size, offset)
        if data:
            self.send(DATA, number, text(data))
        else:
            self.status(number, EOF)

    def write(self, number, file, offset, data):
        if self.fault in ("full", "quota"):
            self.status(number, FAILURE if self.fault == "full" else QUOTA)
            return
        os.pwrite(file, data, offset)
        self.status(number, OK)

    def list(self, path):
        if self.fault == "names":
            return [[entry(name) for name in HOSTILE] + [entry(b"%2e%2e+", stat.S_IFDIR | 0o700)],
                    [entry(b"good"), entry(b"good"), entry(b"link", stat.S_IFLNK | 0o777), entry(b"tricky+"),
                     entry(b"folder", stat.S_IFDIR | 0o700), entry(b"also-good")]]
        if self.fault == "deep":
            return [[entry(b"deeper" * 4 + b"+", stat.S_IFDIR | 0o700), entry(b"x")]]
        if self.fault == "nothing":
            return []
        found = [(name, os.lstat(os.path.join(path, name))) for name in os.listdir(path)]
        return [[entry(name, state.st_mode, state.st_size) for name, state in found]] if found else []

    def read_folder(self, number, left):
        if self.fault == "nothing":
            self.send(NAME, number, u32(0))
        elif left:
            page = left.pop(0)
            self.send(NAME, number, u32(len(page)) + b"".join(page))
        else:
            self.status(number, EOF)


class Subsystem(paramiko.SubsystemHandler):
    def __init__(self, channel, name, server, folder, fault):
        super().__init__(channel, name, server)
        self.session = Session(channel, folder, fault)

    def start_subsystem(self, name, transport, channel):
        try:
            self.session.run()
        except (EOFError, OSError):
            channel.close()


class Server(paramiko.ServerInterface):
    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL if password == "right, and with spaces \u00fc" else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "publickey,password"

    def check_channel_request(self, kind, number):
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED


def serve(connection, key, folder, fault):
    transport = paramiko.Transport(connection)
    transport.add_server_key(key)
    transport.set_subsystem_handler("sftp", Subsystem, folder, fault)
    transport.start_server(event=threading.Event(), server=Server())


def main():
    key, folder, fault = paramiko.Ed25519Key(filename=sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        serve(listener.accept()[0], key, folder, fault)


if __name__ == "__main__":
    main()
