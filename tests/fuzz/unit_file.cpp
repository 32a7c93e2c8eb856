// A whole, sealed HDF5 file of any content: what a hostile writer could make. The input is JSON that says which
// attributes and datasets the file gets; its bytes come from HDF5 itself, whose own reader is not ours to fuzz (1.10
// hangs on some damaged heaps; damage never gets so far, because the checksum is asked first).
#include "pipeline/core/hash.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/store/dimension_scales.hpp"
#include "pipeline/store/hdf5_dataset.hpp"
#include "pipeline/store/sealed_file.hpp"
#include "pipeline/store/unit_store.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {
using namespace cmc;
using namespace cmc::store;

void write_attributes(const Object& object, const Json& attributes) {
  for (const auto& [name, value] : attributes.items()) {
    if (value.is_string()) write_attribute(object, name.c_str(), value.get<std::string>());
    if (value.is_number_integer()) write_attribute(object, name.c_str(), value.get<int64_t>());
    if (value.is_number_float()) write_attribute(object, name.c_str(), value.get<double>());
    if (value.is_array()) write_attribute(object, name.c_str(), value.get<std::vector<int64_t>>());
  }
}

Values values_of(const Json& dataset) {
  const std::string type = dataset.at("type");
  const Json& values = dataset.at("values");
  if (type == "text") return values.get<std::vector<std::string>>();
  if (type == "int32") return values.get<std::vector<int32_t>>();
  if (type == "int64") return values.get<std::vector<int64_t>>();
  if (type == "float") return values.get<std::vector<float>>();
  return values.get<std::vector<double>>();
}

void write_dataset(const Object& root, const Json& dataset, DimensionScales& scales) {
  const auto values = values_of(dataset);
  const auto count = std::visit([](const auto& list) { return static_cast<int64_t>(list.size()); }, values);
  const std::string name = dataset.at("name");
  Object object = write_values(root, name, {count}, values);
  write_attributes(object, dataset.at("attributes"));
  const auto dimensions = dataset.at("dimensions").get<std::vector<std::string>>();
  if (dimensions == std::vector{name})
    scales.add_scale(name, std::move(object));
  else if (!dimensions.empty())
    scales.attach(object, dimensions);
}

// Empty where the input describes no file that can be written.
std::string file_of(std::string_view text) try {
  const Json json = Json::parse(text);
  const auto lock = library_lock();
  MemoryFile file = MemoryFile::create("fuzz");
  write_attributes(file.root(), json.at("attributes"));
  DimensionScales scales;
  for (const Json& dataset : json.at("datasets")) write_dataset(file.root(), dataset, scales);
  for (const Json& name : json.at("groups")) create_group(file.root(), name.get<std::string>());
  scales.finish();
  return file.close();
} catch (const Json::exception&) {
  return "";
} catch (const Error&) {
  return "";
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string key = sha256("a");
  const std::string content = file_of(cmc::fuzz::text_of(data, size));
  if (content.empty()) return 0;
  return cmc::fuzz::reads_or_refuses([&] { decode_unit(seal(content, key), key, "unit.h5"); });
}
