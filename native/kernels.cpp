// All kernels for one instruction set: compiled once per set, with its flags and
// -DISA_TABLE=kernelsAvx512 -DISA_NAME=avx512 (a namespace: no two sets may share an inline function).
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#include <stdint.h>
#include <string.h>

#include "kernels.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

namespace ISA_NAME {
namespace {

#include "vector.h"

#include "./math.h"

#include "gemm.h"

#include "bf16.h"

#include "live.h"

#include "lstm.h"

#include "gru.h"

#include "rnn.h"

#include "rows.h"

#include "loss.h"

#include "choose.h"

#include "layers.h"

#include "attention.h"

#include "sparse.h"

#include "few.h"

#include "columns.h"

#include "loop.h"

#include "update.h"

}  // namespace
}  // namespace ISA_NAME

namespace isa = ISA_NAME;

const Kernels ISA_TABLE = {
    TEXT(ISA_NAME),
    isa::HAVE_PAIRS,
    isa::packPanels,
    isa::packTransposedPanels,
    isa::packRows,
    isa::packTransposedPairs,
    isa::packPairRows,
    isa::transpose,
    isa::product,
    isa::productPairs,
    isa::productTN,
    isa::liveProduct,
    isa::liveProductNN,
    isa::liveProductTN,
    isa::maskRows,
    isa::compress,
    isa::sparseProduct,
    isa::sparseProductTN,
    isa::fewProduct,
    isa::fewProductTN,
    isa::columnProduct,
    isa::columnProductTN,
    isa::lstmForward,
    isa::lstmBackward,
    isa::lstmRestate,
    isa::lstmForwardLoop,
    isa::lstmBackwardLoop,
    isa::gruForward,
    isa::gruBackward,
    isa::gruHidden,
    isa::gruForwardLoop,
    isa::gruBackwardLoop,
    isa::rnnForward,
    isa::rnnBackward,
    isa::rnnForwardLoop,
    isa::rnnBackwardLoop,
    isa::mingruForward,
    isa::mingruBackward,
    isa::mingruForwardLoop,
    isa::mingruBackwardLoop,
    isa::addInto,
    isa::addColumnSums,
    isa::setRows,
    isa::gatherRows,
    isa::scatterRows,
    isa::lookupGradient,
    isa::dropout,
    isa::softmaxCrossEntropy,
    isa::squaredError,
    isa::relu,
    isa::reluGradient,
    isa::gelu,
    isa::multiply,
    isa::tanhOf,
    isa::tanhGradient,
    isa::softmaxRows,
    isa::softmaxGradientRows,
    isa::layerNorm,
    isa::layerNormGradient,
    isa::attention,
    isa::attentionGradient,
    isa::clear,
    isa::sumSquares,
    isa::sumSquaresOfRows,
    isa::sgd,
    isa::rmsprop,
    isa::adam,
};
