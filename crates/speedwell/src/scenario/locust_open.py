

# Tasks begin on a schedule that the service cannot slow down.
ARRIVALS = itertools.count()
LOGINS = gevent.lock.BoundedSemaphore(8)
READY = {"users": 0}
START = gevent.event.AsyncResult()


def due(number):
    """Seconds from the start at which an arrival is due: rising during the ramp, then even."""
    in_ramp = RATE * RAMP_S / 2
    if number < in_ramp:
        return math.sqrt(2 * number * RAMP_S / RATE)
    return RAMP_S + (number - in_ramp) / RATE


class Connection(Visitor):
    """Takes whatever arrival is due next."""

    wait_time = constant(0)

    def on_start(self):
        try:
            with LOGINS:
                super().on_start()
        finally:
            READY["users"] += 1
            if READY["users"] == USERS:
                START.set(time.perf_counter())
                gevent.spawn_later(RAMP_S, forget_the_ramp, self.environment)

    @task
    def arrival(self):
        start, number = START.get(), next(ARRIVALS)
        if due(number) >= RAMP_S + STEADY_S:
            raise StopUser
        intended = start + due(number)
        pause = intended - time.perf_counter()
        if pause > 0:
            gevent.sleep(pause)
            intended = None
        draw = random.Random(f"{SEED}/arrival/{number}")
        self.run_task(draw.choices(range(len(TASKS)), WEIGHTS)[0], intended)


class Shape(LoadTestShape):
    """All users connect at once; the schedule begins when the last is set up."""

    def tick(self):
        if START.ready() and time.perf_counter() >= START.get() + RAMP_S + STEADY_S:
            return None
        return USERS, USERS
