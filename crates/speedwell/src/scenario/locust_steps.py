

# What a step is made of: the same in every exported script.


class Skipped(Exception):
    """There is nothing left to take: the rest of the turn is left out."""


class Unsent(Exception):
    """A value that the request needs is not there."""


def text(value):
    """A value as it stands inside a text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        raise Unsent("a list stands where one value is needed")
    return json.dumps(value)


def encoded(value):
    return urllib.parse.quote(value, safe="-._~")


def origin(location):
    """Path and query of an address that the service gave."""
    parts = urllib.parse.urlsplit(location)
    return parts._replace(scheme="", netloc="").geturl() if parts.netloc else location


class User:
    """What one simulated user knows and draws."""

    def __init__(self, number):
        self.number = number
        self.random = random.Random(f"{SEED}/{number}")
        self.values = {}
        self.drained = set()
        self.count = 0

    def set(self, name, value):
        self.values[name] = value
        self.drained.discard(name)

    def lacks(self, name):
        return name not in self.values or name in self.drained

    def value(self, name):
        if name not in self.values:
            raise Unsent(f"`{name}` has no value yet")
        return self.values[name]

    def row(self, column):
        row = ROWS[self.number % len(ROWS)] if ROWS else {}
        if row.get(column) is None:
            raise Unsent(f"the users' file has no column `{column}`")
        return row[column]

    def pick(self, pool):
        values = self.value(pool)
        if not isinstance(values, list):
            return values
        if not values:
            raise Unsent(f"`{pool}` is empty")
        return self.random.choice(values)

    def take(self, pool):
        values = self.value(pool)
        if not isinstance(values, list):
            values = self.values[pool] = [values]
        if not values:
            raise Skipped
        taken = values.pop(self.random.randrange(len(values)))
        if not values:
            self.drained.add(pool)
        return taken

    def whole(self, low, high):
        return self.random.randint(low, high)

    def uuid(self):
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def seq(self):
        self.count += 1
        return self.count


ANY, DEEP = object(), object()


def children(value):
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def member(value, key):
    if isinstance(value, dict) and isinstance(key, str) and key in value:
        return [value[key]]
    if isinstance(value, list) and isinstance(key, int) and -len(value) <= key < len(value):
        return [value[key]]
    return []


def with_all_below(value):
    yield value
    for child in children(value):
        yield from with_all_below(child)


def in_body(*segments):
    """The values at a path of the JSON body: a pool if there can be several."""

    def find(answer):
        found = [json.loads(answer.content)]
        for segment in segments:
            if segment is ANY:
                found = [child for value in found for child in children(value)]
            elif segment is DEEP:
                found = [below for value in found for below in with_all_below(value)]
            else:
                found = [each for value in found for each in member(value, segment)]
        if ANY in segments or DEEP in segments:
            return found[:LARGEST_POOL]
        return found[0]

    return find


def in_header(name):
    def find(answer):
        value = answer.headers.get(name)
        if value is None:
            raise LookupError(name)
        return value

    return find


class Step:
    def __init__(self, name, method, path, headers=None, body=None, expect=(), capture=None):
        self.name, self.method, self.path = name, method, path
        self.headers = headers or (lambda user: {})
        self.body = body or (lambda user: (None, None))
        self.expect, self.capture = expect, capture or {}

    def prepare(self, user):
        path = self.path(user)
        kind, body = self.body(user)
        # Nothing is compressed unless the scenario asks for it.
        headers = {"accept": "*/*", "accept-encoding": "identity", "user-agent": USER_AGENT}
        if kind:
            headers["content-type"] = kind
        own = self.headers(user)
        if kind and kind.startswith("multipart/"):
            own.pop("content-type", None)
        headers.update(own)
        return path, headers, body

    def problem(self, answer, user):
        """Why the answer is not the expected one; keeps what is captured of one that is."""
        status = answer.status_code
        right = status in self.expect if self.expect else 200 <= (status or 0) < 300
        if not right:
            return f"status {status}"
        for name, find in self.capture.items():
            try:
                user.set(name, find(answer))
            except (LookupError, ValueError):
                return f"capture `{name}` is not in the answer"
        return None


def json_body(value):
    return "application/json", json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def quoted(name):
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def field(name, value):
    return f'form-data; name="{quoted(name)}"', value.encode()


def upload(name, file, file_name, kind):
    head = f'form-data; name="{quoted(name)}"; filename="{quoted(file_name)}"\r\ncontent-type: {kind}'
    return head, FILES[file]


def form_body(parts):
    boundary = "speedwell-" + uuid.uuid4().hex
    body = bytearray()
    for head, content in parts:
        body += f"--{boundary}\r\ncontent-disposition: {head}\r\n\r\n".encode()
        body += content + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", bytes(body)
