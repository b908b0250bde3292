// Counters, summed by metric, route and phase.
export const counted = {};
export class Counter {
  constructor(name) {
    this.name = name;
  }
  add(value, tags) {
    const key = [this.name, tags.route, tags.phase].join(' ');
    counted[key] = (counted[key] || 0) + value;
  }
}
