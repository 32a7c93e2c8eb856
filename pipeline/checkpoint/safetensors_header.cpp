#include "pipeline/checkpoint/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/json_text.hpp"
#include "pipeline/core/mistaken_file.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::checkpoint {

namespace {

// Types of 8 bits and fewer that safetensors knows: models are quantised to them, not trained in them.
constexpr std::array<std::string_view, 8> quantised = {"F8_E4M3",     "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ",
                                                       "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2", "F4"};

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw BadData({where, what, "the file is damaged, cut off or no safetensors file: fetch or save it again"});
}

// JSON that refuses a key given twice in one object (nlohmann would keep the last).
Json parse_without_duplicates(std::string_view text, const std::string& where) {
  check_json_text(text, where);
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      refuse(where, "names " + parsed.dump() + " twice in its header");
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::exception& error) {
    refuse(where, "has a header that is no JSON (" + replace_invalid_utf8(error.what()) + ")");
  }
}

uint64_t natural(const Json& value, const std::string& where, const char* what) {
  if (!value.is_number_unsigned()) refuse(where, std::string(what) + " is no whole number (" + value.dump() + ")");
  return value.get<uint64_t>();
}

StoredType parse_type(const Json& value, const std::string& where) {
  for (int kind = 0; kind <= static_cast<int>(StoredType::boolean); ++kind) {
    if (value == stored_name(static_cast<StoredType>(kind))) return static_cast<StoredType>(kind);
  }
  for (const std::string_view name : quantised) {
    if (value != name) continue;
    throw BadData({where, "is quantised (stored as " + std::string(name) + ")",
                   "give the model as it was before, or save it de-quantised in bfloat16"});
  }
  throw BadData({where, "has an unknown type (" + value.dump() + ")",
                 "supported: F32, F16, BF16, F64, I64, I32, I16, I8, U8, BOOL"});
}

uint64_t checked_bytes(const StoredTensor& tensor, const std::string& where) {
  uint64_t bytes = static_cast<uint64_t>(bytes_per_element(tensor.type));
  for (const int64_t size : tensor.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes)) refuse(where, "has a shape that overflows");
  }
  return bytes;
}

StoredTensor parse_tensor(const Json& entry, uint64_t data_start, uint64_t file_bytes, const std::string& where) {
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") || !entry.contains("data_offsets")) {
    refuse(where, "lacks dtype, shape or data_offsets");
  }
  StoredTensor tensor;
  tensor.type = parse_type(entry.at("dtype"), where);
  const Json& shape = entry.at("shape");
  const Json& offsets = entry.at("data_offsets");
  if (!shape.is_array() || shape.size() > 16) refuse(where, "has a shape that is no list of sizes");
  for (const Json& size : shape) {
    const uint64_t number = natural(size, where, "a size of the shape");
    if (number > uint64_t{1} << 48) refuse(where, "has a shape that overflows");
    tensor.shape.push_back(static_cast<int64_t>(number));
  }
  if (!offsets.is_array() || offsets.size() != 2) refuse(where, "has data_offsets that are no pair");
  const uint64_t begin = natural(offsets.at(0), where, "data_offsets"),
                 end = natural(offsets.at(1), where, "data_offsets");
  if (begin > end || end > file_bytes - data_start) {
    refuse(where, "lies outside the file (bytes " + std::to_string(begin) + " to " + std::to_string(end) + " of " +
                      std::to_string(file_bytes - data_start) + "; truncated?)");
  }
  if (checked_bytes(tensor, where) != end - begin) {
    refuse(where, "has " + std::to_string(end - begin) + " bytes, its type and shape need " +
                      std::to_string(checked_bytes(tensor, where)));
  }
  tensor.begin = data_start + begin;
  tensor.end = data_start + end;
  return tensor;
}

void check_tiling(const SafetensorsHeader& header, uint64_t data_start, uint64_t file_bytes, const std::string& where) {
  std::vector<std::pair<const StoredTensor*, const std::string*>> order;
  for (const auto& [name, tensor] : header.tensors) order.emplace_back(&tensor, &name);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first->begin, a.first->end) < std::pair(b.first->begin, b.first->end);
  });
  uint64_t at = data_start;
  for (const auto& [tensor, name] : order) {
    if (tensor->begin < at) refuse(where, "holds tensors that overlap (" + *name + ")");
    if (tensor->begin > at) refuse(where, "has a gap before " + *name);
    at = tensor->end;
  }
  if (at != file_bytes) refuse(where, "has " + std::to_string(file_bytes - at) + " bytes after its last tensor");
}

// What torch.save writes begins as a zip archive or a pickle does.
bool is_torch_file(std::string_view start) {
  return start.starts_with("PK\x03\x04") || (start[0] == '\x80' && start[1] >= 2 && start[1] <= 5);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view start, uint64_t file_bytes, const std::string& where) {
  check_not_mistaken(start, file_bytes, where);
  uint64_t length = 0;
  if (start.size() < 8)
    refuse(where, "is shorter than a safetensors header (" + std::to_string(file_bytes) + " bytes)");
  std::memcpy(&length, start.data(), 8);  // little-endian, as every machine we run on
  if (is_torch_file(start) && start.substr(8, 1) != "{") {
    throw BadData(
        {where, "is a file of torch.save under the name of a safetensors file", "rename it to pytorch_model.bin"});
  }
  if (length > max_header_bytes)
    refuse(where, "claims a header of " + std::to_string(length) + " bytes (more than 100 MB)");
  if (length > file_bytes - 8 || length > start.size() - 8) {
    refuse(where, "claims a header of " + std::to_string(length) + " bytes, longer than the file (truncated?)");
  }
  const Json json = parse_without_duplicates(start.substr(8, length), where);
  if (!json.is_object()) refuse(where, "has a header that is no JSON object");
  SafetensorsHeader header;
  for (const auto& [name, entry] : json.items()) {
    if (name == "__metadata__") {
      if (entry.is_null()) continue;  // as some writers leave it
      if (!entry.is_object()) refuse(where, "has a __metadata__ that is no object");
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) refuse(where, "has a __metadata__ entry that is no text (" + key + ")");
        header.metadata[key] = value.get<std::string>();
      }
      continue;
    }
    header.tensors[name] = parse_tensor(entry, 8 + length, file_bytes, where + ": " + name);
  }
  check_tiling(header, 8 + length, file_bytes, where);
  return header;
}

}  // namespace cmc::checkpoint
