#include "pipeline/store/hdf5_dataset.hpp"

#include <hdf5.h>

#include <limits>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/store/schema.hpp"

namespace cmc::store {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD
// Deflate shrinks at most 1032 times (RFC 1951 via zlib's technical notes); more elements than that is a lie.
constexpr hsize_t max_deflate_ratio = 1032;

struct Types {
  hid_t file, memory;
};
Types types_of(const std::vector<float>&) {
  return {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT};
}
Types types_of(const std::vector<double>&) {
  return {H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE};
}
Types types_of(const std::vector<int32_t>&) {
  return {H5T_STD_I32LE, H5T_NATIVE_INT32};
}
Types types_of(const std::vector<int64_t>&) {
  return {H5T_STD_I64LE, H5T_NATIVE_INT64};
}

// Halves the outermost dimensions first, so that a chunk is a run of whole rows where possible.
std::vector<hsize_t> chunk_shape(std::vector<hsize_t> shape, size_t element_bytes) {
  const auto bytes = [&] {
    hsize_t total = element_bytes;
    for (const hsize_t n : shape) total *= n;
    return total;
  };
  for (size_t axis = 0; bytes() > static_cast<hsize_t>(schema::max_chunk_bytes);)
    if (shape[axis] > 1)
      shape[axis] = (shape[axis] + 1) / 2;
    else
      ++axis;
  return shape;
}

Handle creation_list(const std::vector<hsize_t>& shape, size_t element_bytes, const std::string& where) {
  Handle list = own(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, where, "make a property list", Failure::writing);
  H5Pset_obj_track_times(list.id(), false);
  H5Pset_attr_phase_change(list.id(), 32, 0);
  bool filled = !shape.empty() && element_bytes > 0;
  for (const hsize_t n : shape) filled = filled && n > 0;
  if (filled) {
    const auto chunk = chunk_shape(shape, element_bytes);
    check(H5Pset_chunk(list.id(), static_cast<int>(chunk.size()), chunk.data()), where, "set chunks", Failure::writing);
    check(H5Pset_shuffle(list.id()), where, "set the shuffle filter", Failure::writing);
    check(H5Pset_deflate(list.id(), schema::deflate_level), where, "set the deflate filter", Failure::writing);
    check(H5Pset_fletcher32(list.id()), where, "set the fletcher32 filter", Failure::writing);
  }
  return list;
}

Object create(const Object& group, const std::string& name, const std::vector<int64_t>& shape, hid_t type,
              size_t filtered_element_bytes) {
  const std::string where = child_where(group, name);
  const std::vector<hsize_t> extent(shape.begin(), shape.end());
  const Handle space = extent.empty()
                           ? own(H5Screate(H5S_SCALAR), H5Sclose, where, "make a dataspace", Failure::writing)
                           : own(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), H5Sclose,
                                 where, "make a dataspace", Failure::writing);
  const Handle list = creation_list(extent, filtered_element_bytes, where);
  return {own(H5Dcreate2(group.id(), name.c_str(), type, space.id(), H5P_DEFAULT, list.id(), H5P_DEFAULT), H5Dclose,
              where, "create the dataset", Failure::writing),
          where};
}

void check_count(const std::vector<int64_t>& shape, size_t count, const std::string& where) {
  int64_t product = 1;
  for (const int64_t n : shape) {
    if (n < 0) throw Internal({where, "has a negative length", ""});
    product *= n;
  }
  if (product != static_cast<int64_t>(count))
    throw Internal({where, "has " + std::to_string(count) + " values for a shape of " + std::to_string(product), ""});
}

// HDF5 strings end at the first NUL, which a byte token may well produce: it is written as U+FFFD, its place beside.
std::vector<std::string> without_zero_bytes(const std::vector<std::string>& texts, std::vector<int64_t>& places,
                                            const std::string& where) {
  std::vector<std::string> written(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!is_valid_utf8(texts[i]))
      throw BadData(
          {where, "element " + std::to_string(i) + " is not valid UTF-8", "replace the invalid bytes before storing"});
    for (size_t at = 0; at < texts[i].size(); ++at) {
      if (texts[i][at] != '\0') {
        written[i] += texts[i][at];
        continue;
      }
      written[i] += replacement;
      places.insert(places.end(), {static_cast<int64_t>(i), static_cast<int64_t>(at)});
    }
  }
  return written;
}

Object write_texts(const Object& group, const std::string& name, const std::vector<int64_t>& shape,
                   const std::vector<std::string>& texts) {
  std::vector<int64_t> places;
  const auto written = without_zero_bytes(texts, places, child_where(group, name));
  std::vector<const char*> pointers;
  for (const auto& text : written) pointers.push_back(text.c_str());
  const Handle type = text_type();
  Object dataset = create(group, name, shape, type.id(), 0);
  if (!pointers.empty())
    check(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()), dataset.where, "write",
          Failure::writing);
  if (!places.empty()) write_attribute(dataset, schema::zero_bytes, places);
  return dataset;
}

void restore_zero_bytes(const Object& dataset, std::vector<std::string>& texts) {
  if (!has_attribute(dataset, schema::zero_bytes)) return;
  const auto places = read_integers_attribute(dataset, schema::zero_bytes);
  for (size_t i = 0; i + 1 < places.size(); i += 2) {
    const auto text = static_cast<size_t>(places[i]), at = static_cast<size_t>(places[i + 1]);
    if (text >= texts.size() || texts[text].size() < replacement.size() || at > texts[text].size() - replacement.size())
      throw BadData({dataset.where, "has a zero byte outside its texts", "this file was not written by cmc"});
    texts[text].replace(at, replacement.size(), 1, '\0');
  }
}

Values read_texts(const Object& dataset, size_t count) {
  std::vector<char*> pointers(count, nullptr);
  const Handle type = text_type();
  const Handle space = own(H5Dget_space(dataset.id()), H5Sclose, dataset.where, "read the shape", Failure::reading);
  if (count > 0)
    check(H5Dread(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()), dataset.where, "read",
          Failure::reading);
  std::vector<std::string> texts;
  for (const char* pointer : pointers) texts.emplace_back(pointer ? pointer : "");
  if (count > 0) H5Dvlen_reclaim(type.id(), space.id(), H5P_DEFAULT, pointers.data());
  restore_zero_bytes(dataset, texts);
  return texts;
}

template <class T>
Values read_numbers(const Object& dataset, size_t count) {
  std::vector<T> values(count);
  if (count > 0)
    check(H5Dread(dataset.id(), types_of(values).memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), dataset.where,
          "read", Failure::reading);
  return values;
}

// Guards against a shape that would have us allocate more than the file can hold.
size_t believable_count(const Object& dataset, size_t element_bytes) {
  hsize_t count = 1;
  const hsize_t stored = H5Dget_storage_size(dataset.id());
  const hsize_t most = stored * max_deflate_ratio / element_bytes + 1;
  for (const int64_t length : read_shape(dataset)) {
    const auto n = static_cast<hsize_t>(length);
    if (n != 0 && count > std::numeric_limits<hsize_t>::max() / n)
      throw BadData({dataset.where, "has a shape that overflows", "this file was not written by cmc"});
    count *= n;
  }
  if (count > most)
    throw BadData({dataset.where, "has a shape larger than its data", "this file was not written by cmc"});
  return count;
}

}  // namespace

Object write_values(const Object& group, const std::string& name, const std::vector<int64_t>& shape,
                    const Values& values) {
  return std::visit(
      [&]<class T>(const std::vector<T>& list) -> Object {
        check_count(shape, list.size(), child_where(group, name));
        if constexpr (std::is_same_v<T, std::string>) {
          return write_texts(group, name, shape, list);
        } else {
          Object dataset = create(group, name, shape, types_of(list).file, sizeof(T));
          if (!list.empty())
            check(H5Dwrite(dataset.id(), types_of(list).memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, list.data()),
                  dataset.where, "write", Failure::writing);
          return dataset;
        }
      },
      values);
}

std::vector<int64_t> read_shape(const Object& dataset) {
  const Handle space = own(H5Dget_space(dataset.id()), H5Sclose, dataset.where, "read the shape", Failure::reading);
  const int rank = H5Sget_simple_extent_ndims(space.id());
  if (rank < 0 || H5Sget_simple_extent_type(space.id()) == H5S_NULL)
    throw BadData({dataset.where, "has no shape", "this file was not written by cmc"});
  std::vector<hsize_t> extent(static_cast<size_t>(rank));
  H5Sget_simple_extent_dims(space.id(), extent.data(), nullptr);
  return {extent.begin(), extent.end()};
}

Values read_values(const Object& dataset) {
  const Handle type = own(H5Dget_type(dataset.id()), H5Tclose, dataset.where, "read the type", Failure::reading);
  const H5T_class_t kind = H5Tget_class(type.id());
  const size_t size = H5Tget_size(type.id());
  if (kind == H5T_STRING && H5Tis_variable_str(type.id()) > 0)
    return read_texts(dataset, believable_count(dataset, size));
  const size_t count = believable_count(dataset, size == 0 ? 1 : size);
  if (kind == H5T_FLOAT && size == 4) return read_numbers<float>(dataset, count);
  if (kind == H5T_FLOAT && size == 8) return read_numbers<double>(dataset, count);
  if (kind == H5T_INTEGER && size == 4) return read_numbers<int32_t>(dataset, count);
  if (kind == H5T_INTEGER && size == 8) return read_numbers<int64_t>(dataset, count);
  throw BadData({dataset.where, "has a type that is not float32, float64, int32, int64 or text",
                 "this file was not written by cmc"});
}

}  // namespace cmc::store
