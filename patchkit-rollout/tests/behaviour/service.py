"""A small service with a contract, and with the fault that is named as its argument."""
import http.server, json, sys, time, uuid

FAULT = sys.argv[1]
USERS = [{"id": 1, "name": "Ada", "email": "ada@example.com"}, {"id": 2, "name": "Bob", "email": None}]


def contract():
    user = {
        "type": "object",
        "required": ["id", "name"],
        "properties": {
            "id": {"type": "integer"},
            "name": {"type": "string"},
            "email": {"type": "string", "nullable": True},
            "boss": {"$ref": "#/components/schemas/User"},
        },
    }
    if FAULT == "document":
        del user["properties"]["email"]
    json_of = lambda schema: {"content": {"application/json": {"schema": schema}}, "description": "."}
    ref = {"$ref": "#/components/schemas/User"}
    listing = {"type": "object", "required": ["users"], "properties": {"users": {"type": "array", "items": ref}}}
    limit = {"name": "limit", "in": "query", "required": FAULT == "document", "schema": {"type": "integer", "minimum": 1}}
    id = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    new = {"required": True, "content": {"application/json": {"schema": ref, "example": {"id": 3, "name": "Cy"}}}}
    paths = {
        "/users": {
            "get": {"parameters": [limit], "responses": {"200": json_of(listing)}},
            "post": {"requestBody": new, "responses": {"201": json_of(ref)}},
        },
        "/users/{id}": {"parameters": [id], "get": {"responses": {"200": json_of(ref), "404": {"description": "."}}}},
        "/work": {"get": {"responses": {"2XX": {"description": ".", "content": {"text/*": {}}}}}},
    }
    if FAULT == "document":
        del paths["/work"]
    return {"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": paths, "components": {"schemas": {"User": user}}}


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, kind, body, headers=()):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        user = json.loads(self.rfile.read(length))
        if FAULT == "created":
            user["id"] = str(user["id"])
        self.send(201, "application/json", json.dumps(user))

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/":
            word = "Goodbye" if FAULT == "body" else "Welcome"
            self.send(200, "text/html", f"<h1>{word}</h1>\n<p>{int(time.time())}</p>\n<p>end</p>\n")
        elif path == "/users":
            body = {"users": USERS, "requested_at": time.time(), "request_id": str(uuid.uuid4()), "page": {"of": 1}}
            headers = [] if FAULT == "header" else [("ETag", '"42"'), ("X-Request", body["request_id"])]
            status = {"status": 203, "undeclared": 418}.get(FAULT, 200)
            kind = "text/plain" if FAULT == "type" else "application/json"
            self.send(status, kind, json.dumps(body), headers)
        elif path == "/users/1":
            user = dict(USERS[0])
            if FAULT == "field":
                del user["name"]
            self.send(200, "application/json; charset=utf-8", json.dumps(user))
        elif path == "/work":
            time.sleep(0.15 if FAULT == "slower" else 0.005)
            self.send(200, "text/plain", "done")
        elif path == "/redirect":
            self.send(302, "text/plain", "", [("Location", f"http://localhost:8080/users/1")])
        elif path == "/away":
            self.send(302, "text/plain", "", [("Location", "http://example.com/")])
        elif path == "/late":
            time.sleep(2)
            self.send(200, "text/plain", "late")
        elif path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in [b"one ", b"two ", b"three"]:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        elif path == "/short":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            self.close_connection = True
        elif path == "/noise":
            self.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
            self.close_connection = True
        elif path == "/old":
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
            self.close_connection = True
        elif path == "/openapi.json":
            self.send(200, "application/json", json.dumps(contract()))
        else:
            self.send(404, "text/plain", "nothing here")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
print(server.server_address[1], flush=True)
server.serve_forever()
