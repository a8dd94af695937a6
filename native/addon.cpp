// The door to JavaScript. `isas()` lists the instruction sets this processor runs, best first; `bf16()` those with
// products of bf16 pairs;
// `bind(bytes, isa, threads, scratch, large)` returns the kernels, as functions over addresses in `bytes`
// (a Uint8Array over an arena's memory, which the caller keeps alive); the first `large` bytes are better
// kept in large pages. Arguments are numbers only.
#include <node_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <new>
#include <utility>
#include <type_traits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "kernels.h"

namespace {

constexpr size_t MOST_ARGUMENTS = 40;

struct Binding {
  char* base;
  const Kernels* kernels;
  Team team;
};

template <class T>
T argument(napi_env env, napi_value value, char* base) {
  if constexpr (std::is_pointer_v<T>) {
    int64_t address = 0;
    napi_get_value_int64(env, value, &address);
    return address == 0 ? nullptr : reinterpret_cast<T>(base + address);
  } else if constexpr (std::is_floating_point_v<T>) {
    double x = 0;
    napi_get_value_double(env, value, &x);
    return static_cast<T>(x);
  } else if constexpr (sizeof(T) == 4) {
    uint32_t x = 0;
    napi_get_value_uint32(env, value, &x);
    return static_cast<T>(x);
  } else {
    int64_t x = 0;
    napi_get_value_int64(env, value, &x);
    return static_cast<T>(x);
  }
}

template <class R, class... A, size_t... At>
napi_value call(R (*kernel)(Team&, A...), napi_env env, Binding& binding, const napi_value* values,
                std::index_sequence<At...>) {
  if constexpr (std::is_void_v<R>) {
    kernel(binding.team, argument<A>(env, values[At], binding.base)...);
    return nullptr;
  } else {
    napi_value result;
    napi_create_double(env, kernel(binding.team, argument<A>(env, values[At], binding.base)...), &result);
    return result;
  }
}

template <class R, class... A>
constexpr size_t countOf(R (*)(Team&, A...)) {
  return sizeof...(A);
}
template <class R, class... A>
constexpr auto sequenceOf(R (*)(Team&, A...)) {
  return std::index_sequence_for<A...>{};
}

template <auto Kernel>
napi_value invoke(napi_env env, napi_callback_info info) {
  using Function = std::remove_reference_t<decltype(static_cast<Kernels*>(nullptr)->*Kernel)>;
  constexpr size_t expected = countOf(static_cast<Function>(nullptr));
  static_assert(expected <= MOST_ARGUMENTS);
  napi_value values[MOST_ARGUMENTS];
  size_t count = MOST_ARGUMENTS;
  void* data;
  napi_get_cb_info(env, info, &count, values, nullptr, &data);
  if (count != expected) {
    napi_throw_type_error(env, nullptr, "a native kernel was called with the wrong number of arguments");
    return nullptr;
  }
  Binding& binding = *static_cast<Binding*>(data);
  napi_value result =
      call(binding.kernels->*Kernel, env, binding, values, sequenceOf(static_cast<Function>(nullptr)));
  if (binding.team.badRow >= 0) {
    char text[96];
    snprintf(text, sizeof text, "row %lld holds the index %d, which is out of range",
             static_cast<long long>(binding.team.badRow), binding.team.badIndex);
    binding.team.badRow = -1;
    napi_throw_range_error(env, nullptr, text);
    return nullptr;
  }
  return result;
}

struct Entry {
  const char* name;
  napi_callback callback;
};
#define KERNEL(name) {#name, invoke<&Kernels::name>}
const Entry entries[] = {
    KERNEL(packPanels),       KERNEL(packTransposedPanels), KERNEL(packTransposedPairs), KERNEL(packRows),
    KERNEL(transpose),        KERNEL(product),              KERNEL(productPairs),        KERNEL(productTN),
    KERNEL(compress),         KERNEL(sparseProduct),        KERNEL(sparseProductTN),     KERNEL(lstmForward),
    KERNEL(lstmBackward),     KERNEL(lstmForwardLoop),      KERNEL(lstmBackwardLoop),    KERNEL(addInto),
    KERNEL(addColumnSums),    KERNEL(setRows),              KERNEL(gatherRows),          KERNEL(scatterRows),
    KERNEL(lookupGradient),   KERNEL(dropout),              KERNEL(softmaxCrossEntropy), KERNEL(squaredError),
    KERNEL(sumSquares),       KERNEL(sumSquaresOfRows),     KERNEL(sgd),                 KERNEL(rmsprop),
    KERNEL(adam),             KERNEL(clear),                KERNEL(gruForward),          KERNEL(gruBackward),
    KERNEL(gruHidden),        KERNEL(gruForwardLoop),       KERNEL(gruBackwardLoop),
    KERNEL(liveProduct),      KERNEL(liveProductNN),        KERNEL(liveProductTN),       KERNEL(maskRows),
    KERNEL(packPairRows),     KERNEL(columnProduct),        KERNEL(columnProductTN),      KERNEL(lstmRestate),
    KERNEL(rnnForward),       KERNEL(rnnBackward),          KERNEL(rnnForwardLoop),
    KERNEL(rnnBackwardLoop),  KERNEL(mingruForward),        KERNEL(mingruBackward),      KERNEL(mingruForwardLoop),
    KERNEL(mingruBackwardLoop), KERNEL(relu),               KERNEL(reluGradient),        KERNEL(gelu),
    KERNEL(multiply),         KERNEL(tanhOf),               KERNEL(tanhGradient),        KERNEL(softmaxRows),
    KERNEL(softmaxGradientRows), KERNEL(layerNorm),         KERNEL(layerNormGradient),   KERNEL(attention),
    KERNEL(attentionGradient), KERNEL(fewProduct),           KERNEL(fewProductTN),
};
#undef KERNEL

napi_value isas(napi_env env, napi_callback_info) {
  napi_value list;
  napi_create_array(env, &list);
  for (uint32_t i = 0; availableKernels()[i]; i++) {
    napi_value name;
    napi_create_string_utf8(env, availableKernels()[i]->isa, NAPI_AUTO_LENGTH, &name);
    napi_set_element(env, list, i, name);
  }
  return list;
}

/// The instruction sets that bring products of bf16 pairs on this processor.
napi_value bf16(napi_env env, napi_callback_info) {
  napi_value list;
  napi_create_array(env, &list);
  uint32_t count = 0;
  for (uint32_t i = 0; availableKernels()[i]; i++) {
    if (!hasPairs(*availableKernels()[i])) continue;
    napi_value name;
    napi_create_string_utf8(env, availableKernels()[i]->isa, NAPI_AUTO_LENGTH, &name);
    napi_set_element(env, list, count++, name);
  }
  return list;
}

/// Weights and panels are walked from end to end at every time step: large pages spare the processor its tables.
void preferLargePages(char* base, size_t length) {
#if defined(__linux__)
  constexpr size_t LARGE = size_t{2} << 20;
  if (length >= 16 * LARGE) madvise(base, length, MADV_HUGEPAGE);
#else
  (void)base, (void)length;
#endif
}

napi_value bind(napi_env env, napi_callback_info info) {
  napi_value values[5];
  size_t count = 5;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  napi_typedarray_type type;
  size_t length = 0;
  void* base = nullptr;
  char name[16] = "";
  int64_t threads = 1, scratch = 0, large = 0;
  if (count != 5 || napi_get_typedarray_info(env, values[0], &type, &length, &base, nullptr, nullptr) != napi_ok ||
      napi_get_value_string_utf8(env, values[1], name, sizeof name, nullptr) != napi_ok ||
      napi_get_value_int64(env, values[2], &threads) != napi_ok ||
      napi_get_value_int64(env, values[3], &scratch) != napi_ok ||
      napi_get_value_int64(env, values[4], &large) != napi_ok || threads < 1 || threads > 64) {
    napi_throw_type_error(env, nullptr, "bind(bytes, isa, threads, scratch, large): a Uint8Array, a string, three numbers");
    return nullptr;
  }
  const Kernels* kernels = nullptr;
  for (size_t i = 0; availableKernels()[i]; i++)
    if (strcmp(availableKernels()[i]->isa, name) == 0) kernels = availableKernels()[i];
  if (!kernels) {
    napi_throw_range_error(env, nullptr, "this processor does not run that instruction set");
    return nullptr;
  }
  preferLargePages(static_cast<char*>(base), static_cast<size_t>(large));

  // malloc, not new: the addon then needs nothing of the C++ library, which ties it to newer systems.
  Binding* binding = static_cast<Binding*>(malloc(sizeof(Binding)));
  if (!binding) {
    napi_throw_error(env, nullptr, "out of memory");
    return nullptr;
  }
  new (binding) Binding{};
  binding->base = static_cast<char*>(base);
  binding->kernels = kernels;
  binding->team.threads = static_cast<int>(threads);
  binding->team.scratch = reinterpret_cast<Scratch*>(binding->base + scratch);
  binding->team.xPanels = reinterpret_cast<float*>(binding->team.scratch + threads);

  napi_value object;
  napi_create_object(env, &object);
  for (const Entry& entry : entries) {
    napi_value function;
    napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.callback, binding, &function);
    napi_set_named_property(env, object, entry.name, function);
  }
  // The functions belong to the object: the caller never keeps one without it.
  napi_add_finalizer(
      env, object, binding, [](napi_env, void* data, void*) { free(data); }, nullptr, nullptr);
  return object;
}

}  // namespace

NAPI_MODULE_INIT() {
  const Entry functions[] = {{"isas", isas}, {"bf16", bf16}, {"bind", bind}};
  for (const Entry& entry : functions) {
    napi_value function;
    napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.callback, nullptr, &function);
    napi_set_named_property(env, exports, entry.name, function);
  }
  const struct {
    const char* name;
    size_t bytes;
  } sizes[] = {{"threadBytes", sizeof(Scratch)}, {"sharedBytes", X_FLOATS * sizeof(float)}};
  for (const auto& [name, bytes] : sizes) {
    napi_value number;
    napi_create_int64(env, static_cast<int64_t>(bytes), &number);
    napi_set_named_property(env, exports, name, number);
  }
  return exports;
}
