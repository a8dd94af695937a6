// A small pool of threads for all teams of the process. A thread spins for some microseconds after
// its last task, so that the next kernel finds it awake, then parks.
//
// Every participant begins with a share of its own of the tasks (what it touched last time is in its
// cache) and then takes from the others: where a core is busy with something else, nobody waits for it.
#include <pthread.h>
#include <string.h>

#include <atomic>

#include "kernels.h"

// The oldest versions that have these functions, so that a binary runs on older systems as well.
#if defined(__linux__) && defined(__GLIBC__) && defined(__x86_64__)
__asm__(".symver pthread_create,pthread_create@GLIBC_2.2.5");
__asm__(".symver pthread_detach,pthread_detach@GLIBC_2.2.5");
#elif defined(__linux__) && defined(__GLIBC__) && defined(__aarch64__)
__asm__(".symver pthread_create,pthread_create@GLIBC_2.17");
__asm__(".symver pthread_detach,pthread_detach@GLIBC_2.17");
#endif

namespace {

constexpr int MOST_THREADS = 64;
constexpr int SPINS = 1500;  // about 30 microseconds

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

struct alignas(64) Share {
  std::atomic<Size> next{0};
  Size end = 0;
};

struct Pool {
  std::atomic<bool> owned{false};  // by the team that runs
  pthread_mutex_t sleep = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
  int workers = 0;
  int parked = 0;  // under `sleep`

  // The job. It changes only while no worker is inside and `open` is false.
  Team::Task task = nullptr;
  void* context = nullptr;
  int participants = 0;
  Share shares[MOST_THREADS];
  alignas(64) std::atomic<uint32_t> jobs{0};
  std::atomic<bool> open{false};
  alignas(64) std::atomic<int> inside{0};

  void work(int self) {
    for (int other = 0; other < participants; other++) {
      Share& share = shares[(self + other) % participants];
      for (Size i; share.next.load(std::memory_order_relaxed) < share.end && (i = share.next.fetch_add(1)) < share.end;)
        task(context, i, self);
    }
  }

  void serve(int self) {
    uint32_t seen = 0;
    for (;;) {
      int spins = 0;
      while (jobs.load() == seen && spins++ < SPINS) pause();
      if (jobs.load() == seen) park(seen);
      seen = jobs.load();
      inside.fetch_add(1);
      if (open.load() && self < participants) work(self);
      inside.fetch_sub(1);
    }
  }

  void park(uint32_t seen) {
    pthread_mutex_lock(&sleep);
    parked++;
    while (jobs.load() == seen) pthread_cond_wait(&wake, &sleep);
    parked--;
    pthread_mutex_unlock(&sleep);
  }

  void grow(int threads) {
    while (workers < threads - 1 && workers < MOST_THREADS - 1) {
      struct Start {
        static void* thread(void* self) {
          one.serve(static_cast<int>(reinterpret_cast<intptr_t>(self)));
          return nullptr;
        }
      };
      pthread_t thread;
      void* self = reinterpret_cast<void*>(static_cast<intptr_t>(workers + 1));
      if (pthread_create(&thread, nullptr, Start::thread, self) != 0) return;  // fewer threads do the same work
      pthread_detach(thread);
      workers++;
    }
  }

  void run(int threads, Size count, Team::Task task, void* context) {
    grow(threads);
    this->task = task;
    this->context = context;
    participants = static_cast<int>(threads - 1 < workers ? threads : workers + 1);
    for (int i = 0; i < participants; i++) {
      shares[i].next.store(count * i / participants, std::memory_order_relaxed);
      shares[i].end = count * (i + 1) / participants;
    }
    open.store(true);
    jobs.fetch_add(1);
    pthread_mutex_lock(&sleep);
    if (parked > 0) pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&sleep);
    work(0);
    open.store(false);
    while (inside.load() != 0) pause();
  }

  static Pool one;
};
Pool Pool::one;

}  // namespace

void Team::run(Size count, Task task, void* context) {
  // Another JavaScript thread's team may be at work: this one goes on alone then, with the same result.
  if (threads == 1 || Pool::one.owned.exchange(true)) {
    for (Size i = 0; i < count; i++) task(context, i, 0);
    return;
  }
  Pool::one.run(threads, count, task, context);
  Pool::one.owned.store(false);
}

bool hasPairs(const Kernels& isa) {
#if defined(__x86_64__)
  return isa.pairs && __builtin_cpu_supports("avx512bf16");
#else
  return isa.pairs;
#endif
}
