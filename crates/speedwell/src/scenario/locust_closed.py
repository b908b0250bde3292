

class Shape(LoadTestShape):
    """Users join evenly during the ramp, then stay for the steady time."""

    def tick(self):
        if self.get_run_time() >= RAMP_S + STEADY_S:
            return None
        return USERS, USERS / RAMP_S if RAMP_S else USERS


@events.spawning_complete.add_listener
def steady(user_count, **_):
    if user_count >= USERS and not steady.reached:
        steady.reached = True
        forget_the_ramp(ENVIRONMENT[0])


steady.reached = False
ENVIRONMENT = []
events.init.add_listener(lambda environment, **_: ENVIRONMENT.append(environment))
