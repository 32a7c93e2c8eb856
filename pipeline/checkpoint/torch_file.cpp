#include "pipeline/checkpoint/torch_file.hpp"

#include "pipeline/checkpoint/pickle_reader.hpp"
#include "pipeline/checkpoint/torch_storages.hpp"
#include "pipeline/checkpoint/zip_directory.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/mistaken_file.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::checkpoint {

namespace {

constexpr std::string_view magic_number = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";  // torch.serialization's
constexpr std::string_view zip_start = "PK\x03\x04";
constexpr const char* save_again = "load it with torch.load where it was made and save its state_dict again";
// A view that repeats its elements has no bytes of its own; more than this would only fill memory.
constexpr uint64_t most_repeated_bytes = uint64_t{1} << 24;

std::string printable(std::string_view name) {
  return replace_invalid_utf8(name.substr(0, 200));
}

[[noreturn]] void refuse_tensor(const std::string& where, const std::string& what) {
  throw BadData({where, what, "the file is damaged: fetch or save it again"});
}

std::vector<int64_t> read_sizes(const Pickle& pickle, PickleId id, const std::string& where) {
  const PickleValue& tuple = pickle.at(id);
  if (tuple.kind != PickleKind::tuple || tuple.items.size() > 16) refuse_tensor(where, "has a shape of no sizes");
  std::vector<int64_t> sizes;
  for (const PickleId item : tuple.items) {
    const PickleValue& size = pickle.at(item);
    const bool natural = size.kind == PickleKind::integer && size.number >= 0 && size.number <= int64_t{1} << 48;
    if (!natural) refuse_tensor(where, "has a shape or strides of no whole numbers");
    sizes.push_back(size.number);
  }
  return sizes;
}

// Elements of the storage from the tensor's first to behind its last; 0 where it holds none.
uint64_t checked_span(const StoredTensor& tensor, uint64_t file_bytes, const std::string& where) {
  uint64_t count = static_cast<uint64_t>(bytes_per_element(tensor.type)), last = 0;
  bool overflows = false;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] == 0) return 0;
    uint64_t reach = 0;
    overflows = overflows || __builtin_mul_overflow(count, static_cast<uint64_t>(tensor.shape[i]), &count);
    overflows = overflows || __builtin_mul_overflow(static_cast<uint64_t>(tensor.shape[i] - 1),
                                                    static_cast<uint64_t>(tensor.strides[i]), &reach);
    overflows = overflows || __builtin_add_overflow(last, reach, &last);
  }
  if (overflows || count > file_bytes + most_repeated_bytes)
    refuse_tensor(where, "has a shape of more elements than the file holds");
  return last + 1;
}

StoredTensor read_tensor(const Pickle& pickle, const PickleValue& call, const TorchStorages& storages,
                         uint64_t file_bytes, const std::string& where) {
  const bool has_type = call.global.role == GlobalRole::tensor_v3;
  const size_t least = call.global.role == GlobalRole::tensor ? 4 : has_type ? 7 : 6;
  if (call.items.size() < least || call.items.size() > least + 1) refuse_tensor(where, "is made of too few parts");
  const TorchStorage storage = storages.find(pickle.at(call.items[0]), where);
  const PickleValue& offset = pickle.at(call.items[1]);
  if (offset.kind != PickleKind::integer || offset.number < 0) refuse_tensor(where, "has an offset of no number");
  StoredTensor tensor;
  tensor.type = storage.type;
  if (has_type) {
    const PickleValue& type = pickle.at(call.items[6]);
    if (type.kind != PickleKind::global || type.global.role != GlobalRole::dtype)
      refuse_tensor(where, "has a type that is none");
    tensor.type = type.global.type;
  }
  if (call.items.size() > least && least > 4 && !pickle.at(call.items[least]).items.empty())
    throw BadData({where, "is stored as a view that is yet to be negated or conjugated", save_again});
  tensor.shape = read_sizes(pickle, call.items[2], where);
  tensor.strides = read_sizes(pickle, call.items[3], where);
  if (tensor.shape.size() != tensor.strides.size()) refuse_tensor(where, "has strides that do not fit its shape");
  const auto size = static_cast<uint64_t>(bytes_per_element(tensor.type));
  const uint64_t span = checked_span(tensor, file_bytes, where), elements = (storage.end - storage.begin) / size;
  if (span == 0) {
    tensor.begin = tensor.end = storage.begin;
    return tensor;
  }
  if (span > elements || static_cast<uint64_t>(offset.number) > elements - span)
    refuse_tensor(where, "reaches behind its storage (truncated?)");
  tensor.begin = storage.begin + static_cast<uint64_t>(offset.number) * size;
  tensor.end = tensor.begin + span * size;
  return tensor;
}

StoredTensors read_state_dict(const Pickle& pickle, const TorchStorages& storages, uint64_t file_bytes,
                              const std::string& where) {
  const PickleValue& dict = pickle.at(pickle.root);
  if (dict.kind != PickleKind::dict) throw BadData({where, "holds no dictionary of tensors", save_again});
  StoredTensors tensors;
  std::string nested;
  for (size_t i = 0; i < dict.items.size(); i += 2) {
    const PickleValue &key = pickle.at(dict.items[i]), &value = pickle.at(dict.items[i + 1]);
    const std::string name(key.kind == PickleKind::text ? key.text : "");
    if (value.kind == PickleKind::dict && !value.items.empty()) nested = printable(name);
    if (value.kind != PickleKind::tensor) continue;
    if (name.empty()) throw BadData({where, "holds a tensor without a name", save_again});
    if (!is_valid_utf8(name)) refuse_tensor(where, "holds a tensor whose name is no text (" + printable(name) + ")");
    tensors[name] = read_tensor(pickle, value, storages, file_bytes, where + ": " + printable(name));
  }
  if (!tensors.empty()) return tensors;
  throw BadData({where,
                 "holds no tensors" + (nested.empty() ? ""
                                                      : ", only a dictionary inside it (" + nested +
                                                            "), as training scripts save checkpoints"),
                 save_again});
}

StoredTensors parse_zip(std::string_view bytes, const std::string& where) {
  const ZipDirectory entries = read_zip_directory(bytes, where);
  std::string prefix;
  for (const auto& [name, entry] : entries) {
    const size_t slash = name.find('/');
    if (slash != std::string::npos && name.substr(slash) == "/data.pkl") prefix = name.substr(0, slash + 1);
  }
  if (prefix.empty()) {
    throw BadData({where, "is a zip archive, but none of torch.save (it has no data.pkl)",
                   "unpack it, or fetch the model's safetensors files"});
  }
  if (entries.count(prefix + "constants.pkl") != 0) {
    throw Refused({where, "is a TorchScript program, which is code",
                   "where you trust it, load it with torch.jit.load and save its state_dict"});
  }
  for (const auto& [name, entry] : entries) {
    if (!entry.compressed) continue;
    throw BadData({where + ": " + printable(name), "is compressed inside the zip archive, which torch.save never does",
                   "unpack the archive and pack it again without compression (zip -0), or save it again"});
  }
  const auto content = [&](const std::string& name) {
    const auto found = entries.find(prefix + name);
    return found == entries.end() ? std::string_view()
                                  : bytes.substr(found->second.begin, found->second.end - found->second.begin);
  };
  if (content("byteorder") == "big") refuse_big_endian(where);
  const Pickle pickle = read_pickle(content("data.pkl"), where);
  return read_state_dict(pickle, zip_storages(pickle, entries, prefix), bytes.size(), where);
}

// Numbers, one pickle after the other: a magic number, a protocol, facts of the machine, the state dict, the keys of
// its storages in their order; then the storages.
StoredTensors parse_legacy(std::string_view bytes, const std::string& where) {
  size_t at = 0;
  const auto next = [&] {
    Pickle pickle = read_pickle(bytes.substr(at), where);
    at += pickle.bytes;
    return pickle;
  };
  const Pickle magic = next();
  if (magic.at(magic.root).text != magic_number) {
    throw BadData({where, "is a pickle, but none of torch.save", "fetch the model's safetensors files"});
  }
  const Pickle protocol = next();
  if (protocol.at(protocol.root).number != 1001) throw BadData({where, "has an unknown protocol", save_again});
  const Pickle machine = next();
  const PickleValue& facts = machine.at(machine.root);
  for (size_t i = 0; i + 1 < facts.items.size() && facts.kind == PickleKind::dict; i += 2) {
    const bool order = machine.at(facts.items[i]).text == "little_endian";
    if (order && machine.at(facts.items[i + 1]).number == 0) refuse_big_endian(where);
  }
  const Pickle state = next(), keys = next();
  return read_state_dict(state, legacy_storages(state, keys, bytes, at, where), bytes.size(), where);
}

bool looks_like_safetensors(std::string_view bytes) {
  return bytes.size() > 9 && bytes.substr(4, 5) == std::string_view("\0\0\0\0{", 5);
}

}  // namespace

StoredTensors parse_torch_file(std::string_view bytes, const std::string& where) {
  check_not_mistaken(bytes, bytes.size(), where);
  if (looks_like_safetensors(bytes)) {
    throw BadData({where, "is a safetensors file under the name of a pickle", "rename it to end in .safetensors"});
  }
  if (bytes.starts_with(zip_start)) return parse_zip(bytes, where);
  if (bytes.size() > 262 && bytes.substr(257, 5) == "ustar") {
    throw BadData({where, "is a tar archive, as torch before 0.2 saved models", save_again});
  }
  return parse_legacy(bytes, where);
}

}  // namespace cmc::checkpoint
