
// Who does it: the same in every exported script.

const failures = new Counter('failures');
const asked = new Counter('asked');
let user = null;

/** The drawn task, or, while the user lacks a value that it needs, one that captures it. */
function possible(drawn) {
  let task = drawn;
  for (let hop = 0; hop < TASKS.length; hop += 1) {
    const missing = NEEDS[task].find((name) => user.lacks(name));
    if (missing === undefined) return task;
    const from = task;
    task = TASKS.findIndex((steps, other) => other !== from && steps.some((step) => step.capture && missing in step.capture));
    if (task < 0) return drawn;
  }
  return drawn;
}

function weighted() {
  let left = user.random() * WEIGHTS.reduce((sum, weight) => sum + weight, 0);
  const task = WEIGHTS.findIndex((weight) => (left -= weight) < 0);
  return task < 0 ? WEIGHTS.length - 1 : task;
}

/** Only requests of the steady time are judged; those of the setup always are. */
function phase() {
  return (Date.now() - exec.scenario.startTime) / 1000 < RAMP_S ? 'ramp' : 'steady';
}

/** True when the answer is right, false when not, null when nothing was to be sent. */
function ask(step, when) {
  const tags = { name: step.name, route: step.id, phase: when };
  let path, kind, body, own;
  try {
    path = step.path(user);
    [kind, body] = step.body ? step.body(user) : [null, null];
    own = step.headers ? step.headers(user) : {};
  } catch (error) {
    if (error instanceof Skipped) return null;
    failures.add(1, tags);
    console.error(step.name + ' was not sent: ' + error.message);
    sleep(0.1);
    return false;
  }
  const headers = { accept: '*/*', 'user-agent': USER_AGENT };
  if (kind) headers['content-type'] = kind;
  if (kind && kind.startsWith('multipart/')) delete own['content-type'];
  const expected = step.expect || [{ min: 200, max: 299 }];
  asked.add(1, tags);
  const answer = http.request(step.method, TARGET + path, body, {
    headers: Object.assign(headers, own),
    tags,
    timeout: TIMEOUT_S * 1000,
    redirects: 0,
    jar: new http.CookieJar(),
    responseCallback: http.expectedStatuses(...expected),
  });
  const right = expected.some((each) =>
    typeof each === 'number' ? each === answer.status : each.min <= answer.status && answer.status <= each.max,
  );
  if (!right || !captured(step, answer)) {
    failures.add(1, tags);
    return false;
  }
  return true;
}

function captured(step, answer) {
  try {
    for (const [name, find] of Object.entries(step.capture || {})) user.set(name, find(answer));
    return true;
  } catch (error) {
    console.error(step.name + ': a capture is not in the answer: ' + error.message);
    return false;
  }
}

function setUp() {
  for (let attempt = 0; attempt < 4; attempt += 1) {
    if (attempt > 0) sleep(0.25 * 2 ** (attempt - 1));
    if (SETUP.every((step) => ask(step, 'setup') !== false)) return true;
  }
  return false;
}

/** A limit on what was never asked for would hold by itself: every route is counted, from 0. */
export function setup() {
  for (const step of new Set([...SETUP, ...TASKS.flat()])) {
    asked.add(0, { name: step.name, route: step.id, phase: SETUP.includes(step) ? 'setup' : 'steady' });
  }
}

/** One turn of one user. */
export default function () {
  user = user || new User(exec.vu.idInTest - 1);
  user.ready = user.ready || setUp();
  if (!user.ready) {
    console.error('user ' + user.number + ' did not get through the setup');
    sleep(1);
    return;
  }
  const when = phase();
  for (const step of TASKS[possible(weighted())]) {
    if (!ask(step, when)) break;
  }
  pause();
}
