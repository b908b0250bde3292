

# Who does it, and how it is judged: the same in every exported script.


def possible(drawn, user):
    """The drawn task, or, while the user lacks a value that it needs, one that captures it."""
    task = drawn
    for _ in TASKS:
        missing = next((name for name in NEEDS[task] if user.lacks(name)), None)
        if missing is None:
            return task
        providers = (
            other
            for other in range(len(TASKS))
            if other != task and any(missing in step.capture for step in TASKS[other])
        )
        task = next(providers, None)
        if task is None:
            return drawn
    return drawn


NUMBERS = itertools.count()


class Visitor(FastHttpUser):
    """A simulated user."""

    abstract = True
    host = os.environ.get("TARGET", TARGET)
    network_timeout = connection_timeout = TIMEOUT_S

    def on_start(self):
        self.user = User(next(NUMBERS))
        # A scenario says all that is sent.
        self.client.cookiejar.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        if not self.set_up():
            logging.warning("user %s did not get through the setup", self.user.number)
            raise StopUser

    def set_up(self):
        for attempt in range(4):
            if attempt:
                gevent.sleep(0.25 * 2 ** (attempt - 1))
            if all(self.ask(step) is not False for step in SETUP):
                return True
        return False

    def run_task(self, drawn, intended=None):
        for step in TASKS[possible(drawn, self.user)]:
            if not self.ask(step, intended):
                return
            intended = None

    def ask(self, step, intended=None):
        """True when the answer is right, False when not, None when nothing was to be sent."""
        try:
            path, headers, body = step.prepare(self.user)
        except Skipped:
            return None
        except Unsent as error:
            self.environment.events.request.fire(
                request_type=step.method,
                name=step.name,
                response_time=0,
                response_length=0,
                exception=error,
                context={},
            )
            gevent.sleep(0.1)
            return False
        waited = time.perf_counter() - intended if intended else 0
        with self.client.request(
            step.method,
            path,
            name=step.name,
            data=body,
            headers=headers,
            allow_redirects=False,
            catch_response=True,
        ) as answer:
            # A request that had to wait for its connection has been late since it was due.
            answer.request_meta["response_time"] += waited * 1000
            problem = step.problem(answer, self.user)
            if problem:
                answer.failure(problem)
            else:
                answer.success()
        return problem is None


# Locust rounds what it shows to two digits; limits are held against what was measured.
TIMES = collections.defaultdict(list)
ERRORS = collections.Counter()
SETUP_NAMES = {step.name for step in SETUP}


@events.request.add_listener
def record(name, response_time, exception, **_):
    if exception:
        ERRORS[name] += 1
    # A quick failure says nothing of how long an answer takes.
    if not exception or response_time >= TIMEOUT_S * 1000:
        TIMES[name].append(response_time)


def forget_the_ramp(environment):
    """Only the steady time counts; the setup counts whenever it was."""
    for known in (TIMES, ERRORS):
        for name in [name for name in known if name not in SETUP_NAMES]:
            del known[name]
    stats = environment.stats
    for key in [key for key, error in stats.errors.items() if error.name not in SETUP_NAMES]:
        del stats.errors[key]
    for (name, _), entry in list(stats.entries.items()):
        if name not in SETUP_NAMES:
            entry.reset()
    stats.total.reset()


@events.init.add_listener
def begin(environment, **_):
    # Requests in flight are waited for.
    environment.stop_timeout = 10
    if TELLS_USERS_APART and isinstance(environment.runner, (MasterRunner, WorkerRunner)):
        sys.exit("this scenario tells users apart by number or row: run it in one process")


def percentile(times, part):
    ordered = sorted(times)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


@events.quitting.add_listener
def judge(environment, **_):
    if isinstance(environment.runner, WorkerRunner):
        return
    over = []
    print("\nroute: requests, errors, p50, p95, p99 in ms, not rounded")
    for name, limits in BUDGETS.items():
        times, errors = TIMES[name], ERRORS[name]
        if isinstance(environment.runner, MasterRunner):
            entries = [entry for (other, _), entry in environment.stats.entries.items() if other == name]
            times = [time for entry in entries for time, n in entry.response_times.items() for _ in range(n)]
            errors = sum(entry.num_failures for entry in entries)
        shown = [f"{percentile(times, part):.2f}" for part in (0.5, 0.95, 0.99)] if times else ["-"] * 3
        print(f"{name}: {len(times)}, {errors}, {', '.join(shown)}")
        for what, part in (("p95_ms", 0.95), ("p99_ms", 0.99)):
            if what not in limits:
                continue
            if not times:
                over.append(f"{name}: there is no {what} to judge")
            elif percentile(times, part) > limits[what]:
                over.append(f"{name}: {what} {percentile(times, part):.2f} is over {limits[what]}")
        if errors > limits["errors"]:
            over.append(f"{name}: {errors} errors, {limits['errors']} are allowed")
    for reason in over:
        print(f"OVER BUDGET {reason}")
    environment.process_exit_code = 1 if over else 0
