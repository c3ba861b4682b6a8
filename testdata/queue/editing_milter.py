# A milter that edits every message: adds, changes and removes headers, adds and removes recipients, changes the
# sender and replaces the body.
import socket, struct, sys, threading
def recvn(c, n):
    b = b''
    while len(b) < n:
        p = c.recv(n - len(b))
        if not p: raise EOFError
        b += p
    return b
def serve(c):
    def send(cmd, data=b''): c.sendall(struct.pack('>I', len(data) + 1) + cmd + data)
    try:
        while True:
            n = struct.unpack('>I', recvn(c, 4))[0]
            p = recvn(c, n); cmd = p[:1]
            if cmd == b'O':
                send(b'O', struct.pack('>III', 6, 0x7f, 0))
            elif cmd == b'D' or cmd == b'A': 
                pass
            elif cmd == b'Q': return
            elif cmd == b'E':
                send(b'h', b'X-Added\0first added\0')
                send(b'i', struct.pack('>I', 0) + b'X-Inserted\0at the top\0')
                send(b'm', struct.pack('>I', 1) + b'Subject\0changed subject\0')
                send(b'm', struct.pack('>I', 1) + b'X-Remove\0\0')
                send(b'+', b'<added@far.test>\0')
                send(b'-', b'<gone@far.test>\0')
                send(b'e', b'<newsender@example.test>\0')
                send(b'b', b'replaced body line\r\n' * int(sys.argv[2]))
                send(b'c')
            else: send(b'c')
    except EOFError: pass
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(5)
while True:
    c, _ = s.accept(); threading.Thread(target=serve, args=(c,), daemon=True).start()
