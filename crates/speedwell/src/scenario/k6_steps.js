
// What a step is made of: the same in every exported script.

class Skipped extends Error {} // nothing left to take: the rest of the turn is left out
class Unsent extends Error {} // a value that the request needs is not there

/** A value as it stands inside a text. */
function text(value) {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) throw new Unsent('a list stands where one value is needed');
  return JSON.stringify(value);
}

function encoded(value) {
  const more = (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase();
  return encodeURIComponent(value).replace(/[!'()*]/g, more);
}

/** Path and query of an address that the service gave. */
function origin(location) {
  return location.replace(/^https?:\/\/[^/?]*/, '');
}

/** A small generator of seeded draws (mulberry32). */
function draws(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** What one simulated user knows and draws. */
class User {
  constructor(number) {
    this.number = number;
    this.random = draws(SEED * 1000003 + number);
    this.values = new Map();
    this.drained = new Set();
    this.count = 0;
    this.ready = SETUP.length === 0;
  }
  set(name, value) {
    this.values.set(name, value);
    this.drained.delete(name);
  }
  lacks(name) {
    return !this.values.has(name) || this.drained.has(name);
  }
  value(name) {
    if (!this.values.has(name)) throw new Unsent('`' + name + '` has no value yet');
    return this.values.get(name);
  }
  row(column) {
    const row = ROWS.length > 0 ? ROWS[this.number % ROWS.length] : {};
    if (row[column] === undefined) throw new Unsent('the users\' file has no column `' + column + '`');
    return row[column];
  }
  place(length) {
    return Math.floor(this.random() * length);
  }
  pick(pool) {
    const values = this.value(pool);
    if (!Array.isArray(values)) return values;
    if (values.length === 0) throw new Unsent('`' + pool + '` is empty');
    return values[this.place(values.length)];
  }
  take(pool) {
    let values = this.value(pool);
    if (!Array.isArray(values)) {
      values = [values];
      this.values.set(pool, values);
    }
    if (values.length === 0) throw new Skipped();
    const taken = values.splice(this.place(values.length), 1)[0];
    if (values.length === 0) this.drained.add(pool);
    return taken;
  }
  whole(low, high) {
    return low + this.place(high - low + 1);
  }
  uuid() {
    const digit = (c) => {
      const drawn = this.place(16);
      return (c === 'x' ? drawn : (drawn & 3) | 8).toString(16);
    };
    return 'xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx'.replace(/[xy]/g, digit);
  }
  seq() {
    this.count += 1;
    return this.count;
  }
}

const ANY = { any: true };
const DEEP = { deep: true };

function children(value) {
  return value !== null && typeof value === 'object' ? Object.values(value) : [];
}

function member(value, key) {
  if (Array.isArray(value)) {
    const place = key < 0 ? value.length + key : key;
    return typeof key === 'number' && place >= 0 && place < value.length ? [value[place]] : [];
  }
  const own = value !== null && typeof value === 'object' && typeof key === 'string';
  return own && Object.prototype.hasOwnProperty.call(value, key) ? [value[key]] : [];
}

function withAllBelow(value) {
  return [value, ...children(value).flatMap(withAllBelow)];
}

/** The values at a path of the JSON body: a pool if there can be several. */
function in_body(...segments) {
  return (answer) => {
    let found = [JSON.parse(answer.body)];
    for (const segment of segments) {
      if (segment === ANY) found = found.flatMap(children);
      else if (segment === DEEP) found = found.flatMap(withAllBelow);
      else found = found.flatMap((value) => member(value, segment));
    }
    if (segments.includes(ANY) || segments.includes(DEEP)) return found.slice(0, LARGEST_POOL);
    if (found.length === 0) throw new Error('nothing is there');
    return found[0];
  };
}

function in_header(name) {
  return (answer) => {
    const known = Object.keys(answer.headers).find((each) => each.toLowerCase() === name);
    if (known === undefined) throw new Error('nothing is there');
    return answer.headers[known];
  };
}

function json_body(value) {
  return ['application/json', JSON.stringify(value)];
}

function bytes(value) {
  const encoded = unescape(encodeURIComponent(value));
  return Uint8Array.from(encoded, (c) => c.charCodeAt(0));
}

function quoted(name) {
  return name.replace(/"/g, '%22').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
}

function field(name, value) {
  return ['form-data; name="' + quoted(name) + '"', bytes(value)];
}

function upload(name, file, fileName, kind) {
  const names = 'name="' + quoted(name) + '"; filename="' + quoted(fileName) + '"';
  return ['form-data; ' + names + '\r\ncontent-type: ' + kind, new Uint8Array(FILES[file])];
}

function form_body(parts) {
  const boundary = 'speedwell-' + Math.random().toString(16).slice(2) + Date.now().toString(16);
  const pieces = [];
  for (const [head, content] of parts) {
    pieces.push(bytes('--' + boundary + '\r\ncontent-disposition: ' + head + '\r\n\r\n'), content, bytes('\r\n'));
  }
  pieces.push(bytes('--' + boundary + '--\r\n'));
  const body = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    body.set(piece, at);
    at += piece.length;
  }
  return ['multipart/form-data; boundary=' + boundary, body.buffer];
}
