#include "pipeline/checkpoint/torch_globals.hpp"

#include <array>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::checkpoint {

namespace {

struct FunctionRow {
  std::string_view module, name;
  GlobalRole role;
};
constexpr std::array<FunctionRow, 10> functions = {{
    {"collections", "OrderedDict", GlobalRole::ordered_dict},
    {"torch", "Size", GlobalRole::size},
    {"torch._utils", "_rebuild_tensor", GlobalRole::tensor},
    {"torch._utils", "_rebuild_tensor_v2", GlobalRole::tensor_v2},
    {"torch._utils", "_rebuild_tensor_v3", GlobalRole::tensor_v3},
    {"torch._utils", "_rebuild_parameter", GlobalRole::parameter},
    {"torch._utils", "_rebuild_parameter_with_state", GlobalRole::parameter},
    {"torch.storage", "UntypedStorage", GlobalRole::untyped_storage},
    {"torch.storage", "_UntypedStorage", GlobalRole::untyped_storage},  // torch 1.12
    {"torch", "UntypedStorage", GlobalRole::untyped_storage},
}};

struct TypeRow {
  std::string_view storage, dtype;
  StoredType type;
};
constexpr std::array<TypeRow, 10> types = {{{"DoubleStorage", "float64", StoredType::f64},
                                            {"FloatStorage", "float32", StoredType::f32},
                                            {"HalfStorage", "float16", StoredType::f16},
                                            {"BFloat16Storage", "bfloat16", StoredType::bf16},
                                            {"LongStorage", "int64", StoredType::i64},
                                            {"IntStorage", "int32", StoredType::i32},
                                            {"ShortStorage", "int16", StoredType::i16},
                                            {"CharStorage", "int8", StoredType::i8},
                                            {"ByteStorage", "uint8", StoredType::u8},
                                            {"BoolStorage", "bool", StoredType::boolean}}};

constexpr std::array<std::string_view, 7> other_storages = {
    "ComplexFloatStorage", "ComplexDoubleStorage", "QInt8Storage",   "QUInt8Storage",
    "QInt32Storage",       "QUInt4x2Storage",      "QUInt2x4Storage"};
constexpr std::array<std::string_view, 9> other_dtypes = {"uint",  "float8_", "float4_", "complex", "qint",
                                                          "quint", "int1",    "int2",    "int4"};

}  // namespace

std::optional<TorchGlobal> find_torch_global(std::string_view module, std::string_view name, const std::string& where) {
  for (const FunctionRow& row : functions) {
    if (row.module == module && row.name == name) return TorchGlobal{row.role, StoredType::u8};
  }
  if (module != "torch") return std::nullopt;
  for (const TypeRow& row : types) {
    if (name == row.storage) return TorchGlobal{GlobalRole::storage_type, row.type};
    if (name == row.dtype) return TorchGlobal{GlobalRole::dtype, row.type};
  }
  bool other = false;
  for (const std::string_view storage : other_storages) other = other || name == storage;
  for (const std::string_view dtype : other_dtypes) other = other || name.starts_with(dtype);
  if (!other) return std::nullopt;
  const bool quantised = name.starts_with("float") || name.starts_with('q') || name.starts_with('Q');
  throw BadData({where, "holds numbers of the type torch." + replace_invalid_utf8(name.substr(0, 40)),
                 quantised ? "it is quantised: give the model as it was before, or save it de-quantised in bfloat16"
                           : "save the model in a floating-point type"});
}

}  // namespace cmc::checkpoint
