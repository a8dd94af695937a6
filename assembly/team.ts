/**
 * Several threads on one memory. Each has an instance of this module; they meet at a control block in
 * the memory. A job is cut into tasks whose results do not depend on who does them, or on how many
 * threads there are. Every participant begins with a share of its own (what it touched last time is in
 * its cache) and then takes from the others: where a core is busy with something else, or a worker has
 * not come yet, nobody waits for it.
 */

/** Byte offsets in the control block, a cache line apart where several threads write. */
const JOBS: usize = 0; // counts jobs; workers wait on it
const OPEN: usize = 64; // 1 while a job may be entered; its fields change only while it is 0 and nobody inside
const INSIDE: usize = 128; // workers inside
const VISITS: usize = 132; // counts workers that came while a job was open
const PARKED: usize = 192; // workers asleep
const LEAVE: usize = 256; // 1: workers go back to where they came from
const FAILED: usize = 260; // 1: a worker ended in the middle of a job
const KERNEL: usize = 320;
const WORDS: usize = 384; // 24 arguments of 8 bytes
const SHARES: usize = 576; // next and end, a cache line each
const MOST_THREADS: i32 = 64;
const RESULTS: usize = SHARES + 64 * <usize>MOST_THREADS; // a float64 for each task, or row
/** Results a job has room for. The block ends behind them: CONTROL_BYTES in src/kernels/wasm-team.ts. */
export const MOST_RESULTS: i32 = 4096;

/** Looks of a worker at JOBS before it sleeps: some 40 microseconds. */
const SPINS: i32 = 20000;

let control: usize = 0; // 0: alone
let participants: i32 = 1;
let self: i32 = 0;
let entered: bool = false;

/** Makes this instance the one that gives the jobs, to `threads` threads, itself among them. */
export function leadTeam(address: usize, threads: i32): void {
  control = address;
  participants = min(threads, MOST_THREADS);
}

export function followTeam(address: usize, number: i32): void {
  control = address;
  self = number;
}

// @ts-ignore: decorator
@inline
export function isAlone(): bool {
  return control == 0;
}

/** Number of this thread: its own scratch memory stands so many times the size of one behind the first. */
// @ts-ignore: decorator
@inline
export function me(): i32 {
  return self;
}

// @ts-ignore: decorator
@inline
export function int(slot: i32): i32 {
  return load<i32>(control + WORDS + <usize>slot * 8);
}
// @ts-ignore: decorator
@inline
export function address(slot: i32): usize {
  return load<usize>(control + WORDS + <usize>slot * 8);
}
// @ts-ignore: decorator
@inline
export function float(slot: i32): f32 {
  return load<f32>(control + WORDS + <usize>slot * 8);
}
// @ts-ignore: decorator
@inline
export function double(slot: i32): f64 {
  return load<f64>(control + WORDS + <usize>slot * 8);
}
// @ts-ignore: decorator
@inline
export function set<T>(slot: i32, value: T): void {
  store<T>(control + WORDS + <usize>slot * 8, value);
}

export function setResult(task: i32, value: f64): void {
  store<f64>(control + RESULTS + <usize>task * 8, value);
}

/** Adds the first `count` results to `sum`, in their order. */
export function addResults(sum: f64, count: i32): f64 {
  for (let i = 0; i < count; i++) sum += load<f64>(control + RESULTS + <usize>i * 8);
  return sum;
}

export function kernel(): i32 {
  return load<i32>(control + KERNEL);
}

/** Opens the job whose arguments have been set. The caller takes tasks and then closes it. */
export function openJob(kernel: i32, tasks: i32): void {
  store<i32>(control + KERNEL, kernel);
  // The number may be read by workers, which know it from here alone.
  store<i32>(control + KERNEL, participants, 4);
  for (let p = 0; p < participants; p++) {
    const share = control + SHARES + <usize>p * 64;
    atomic.store<i32>(share, (tasks * p) / participants);
    store<i32>(share, (tasks * (p + 1)) / participants, 4);
  }
  atomic.store<i32>(control + OPEN, 1);
  atomic.add<i32>(control + JOBS, 1);
  if (atomic.load<i32>(control + PARKED) > 0) atomic.notify(control + JOBS, -1);
}

export function closeJob(): void {
  atomic.store<i32>(control + OPEN, 0);
  while (atomic.load<i32>(control + INSIDE) != 0) {}
  // What the worker should have written is missing.
  if (atomic.load<i32>(control + FAILED) != 0) unreachable();
}

/** Who takes part in the open job. */
export function team(): i32 {
  return load<i32>(control + KERNEL, 4);
}

/** The next task of a share, or -1. */
export function takeTask(owner: i32): i32 {
  const share = control + SHARES + <usize>owner * 64;
  const end = load<i32>(share, 4);
  if (atomic.load<i32>(share) >= end) return -1;
  const task = atomic.add<i32>(share, 1);
  return task < end ? task : -1;
}

/** Waits for a job other than the last one seen; returns its number, or -1 where workers are to leave. */
export function awaitJob(seen: i32): i32 {
  for (let spins = 0; atomic.load<i32>(control + JOBS) == seen && spins < SPINS; spins++) {}
  while (atomic.load<i32>(control + LEAVE) == 0) {
    const jobs = atomic.load<i32>(control + JOBS);
    if (jobs != seen) return jobs;
    atomic.add<i32>(control + PARKED, 1);
    atomic.wait<i32>(control + JOBS, seen, -1);
    atomic.sub<i32>(control + PARKED, 1);
  }
  return -1;
}

/** Whether the job seen is still open; every call is followed by leaveJob. */
export function enterJob(): bool {
  entered = true;
  atomic.add<i32>(control + INSIDE, 1);
  if (atomic.load<i32>(control + OPEN) == 0) return false;
  atomic.add<i32>(control + VISITS, 1);
  return true;
}

export function leaveJob(): void {
  entered = false;
  atomic.sub<i32>(control + INSIDE, 1);
}

/** After a trap in the middle of a job: whoever waits for its end is told. */
export function abandon(): void {
  if (!entered) return;
  atomic.store<i32>(control + FAILED, 1);
  leaveJob();
}

export function jobsSoFar(): i32 {
  return atomic.load<i32>(control + JOBS);
}

/** Lets the workers come (0), or sends them away (1). */
export function setLeave(value: i32): void {
  atomic.store<i32>(control + LEAVE, value);
  if (value == 0) return;
  atomic.add<i32>(control + JOBS, 1);
  atomic.notify(control + JOBS, -1);
}
