/**
 * A wrong clock: loaded before anything else (`--import`), in a process and its worker threads, it moves what
 * JavaScript reads as the time of day by `COMPORTA_CLOCK_SKEW_MS` milliseconds, from `COMPORTA_CLOCK_SKEW_AFTER_MS`
 * milliseconds after the start on. Monotonic time and timers stay, as they do when a person or NTP sets a clock.
 *
 * Without effect on native code: OpenSSL checks certificates by the true time.
 */

const skewMs = Number(process.env['COMPORTA_CLOCK_SKEW_MS'] ?? 0)
const afterMs = Number(process.env['COMPORTA_CLOCK_SKEW_AFTER_MS'] ?? 0)
const TrueDate = Date

/** The time of day as this process believes it to be. */
function wrongNow(): number {
  return TrueDate.now() + (performance.now() >= afterMs ? skewMs : 0)
}

if (skewMs !== 0) {
  globalThis.Date = new Proxy(TrueDate, {
    // `Date()` without `new` is the time as text, whatever its arguments.
    apply: () => new TrueDate(wrongNow()).toString(),
    construct: (target, given: unknown[], newTarget) =>
      Reflect.construct(target, given.length === 0 ? [wrongNow()] : given, newTarget) as object,
    get: (target, name, receiver) => (name === 'now' ? wrongNow : (Reflect.get(target, name, receiver) as unknown))
  })
}

export {}
