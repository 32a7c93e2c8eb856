#include "pipeline/store/hdf5_file.hpp"

#include <hdf5.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"

static_assert(std::is_same_v<hid_t, cmc::store::Id> && std::is_same_v<herr_t, int>);

namespace cmc::store {
namespace {

// Object headers keep up to 32 attributes inline: small files, and one layout whatever their number.
constexpr unsigned inline_attributes = 32;

herr_t keep_innermost(unsigned, const H5E_error2_t* error, void* text) {
  *static_cast<std::string*>(text) = error->desc ? error->desc : "";
  return 0;
}

Handle property_list(hid_t kind) {
  return own(H5Pcreate(kind), H5Pclose, "HDF5", "make a property list", Failure::writing);
}

Handle memory_access() {
  Handle access = property_list(H5P_FILE_ACCESS);
  constexpr size_t growth = 1 << 20;
  H5Pset_fapl_core(access.id(), growth, false);
  H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG);
  H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110);
  return access;
}

// The core driver takes two files of one name for the same file.
std::string unused_name() {
  static std::atomic<uint64_t> count{0};
  return "cmc-memory-" + std::to_string(count++) + ".h5";
}

Handle scalar() {
  return own(H5Screate(H5S_SCALAR), H5Sclose, "HDF5", "make a dataspace", Failure::writing);
}

void write_raw_attribute(const Object& object, const char* name, hid_t file_type, hid_t memory_type,
                         const Handle& space, const void* data) {
  const Handle attribute = own(H5Acreate2(object.id(), name, file_type, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                               object.where, "create an attribute", Failure::writing);
  check(H5Awrite(attribute.id(), memory_type, data), object.where, "write an attribute", Failure::writing);
}

Handle open_attribute(const Object& object, const char* name) {
  if (!has_attribute(object, name))
    throw BadData({object.where, std::string("has no attribute \"") + name + '"', "this file was not written by cmc"});
  return own(H5Aopen(object.id(), name, H5P_DEFAULT), H5Aclose, object.where, "open an attribute", Failure::reading);
}

std::string fixed_text(const Handle& attribute, size_t size, const std::string& where) {
  std::string text(size + 1, '\0');
  const Handle memory = own(H5Tcopy(H5T_C_S1), H5Tclose, where, "make a type", Failure::reading);
  H5Tset_size(memory.id(), size + 1);
  H5Tset_cset(memory.id(), H5T_CSET_UTF8);
  check(H5Aread(attribute.id(), memory.id(), text.data()), where, "read an attribute", Failure::reading);
  text.resize(text.find('\0'));
  return text;
}

}  // namespace

std::unique_lock<std::recursive_mutex> library_lock() {
  static std::recursive_mutex mutex;
  std::unique_lock lock(mutex);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  return lock;
}

void throw_hdf5(const std::string& where, const std::string& doing, Failure failure) {
  std::string reason;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned n, const H5E_error2_t* error, void* text) -> herr_t {
        return n == 0 ? keep_innermost(n, error, text) : 0;
      },
      &reason);
  H5Eclear2(H5E_DEFAULT);
  std::string what = "HDF5 cannot " + doing;
  if (!reason.empty()) what += ": " + reason;
  if (failure == Failure::reading) throw BadData({where, what, "the file is damaged or was not written by cmc"});
  throw IoError({where, what, "check memory and disk"});
}

MemoryFile::Buffer::~Buffer() {
  std::free(data);
}

MemoryFile::MemoryFile(std::unique_ptr<Buffer> buffer, Handle file, std::string where)
    : buffer_(std::move(buffer)), file_(std::move(file)) {
  root_ = {own(H5Gopen2(file_.id(), "/", H5P_DEFAULT), H5Gclose, where, "open the root group", Failure::reading),
           where};
}

MemoryFile MemoryFile::create(std::string where) {
  auto buffer = std::make_unique<Buffer>();
  H5FD_file_image_callbacks_t callbacks{};
  callbacks.udata = buffer.get();
  callbacks.udata_copy = [](void* data) { return data; };
  callbacks.udata_free = [](void*) -> herr_t { return 0; };
  callbacks.image_malloc = [](size_t size, H5FD_file_image_op_t, void*) { return std::malloc(size); };
  callbacks.image_memcpy = [](void* to, const void* from, size_t size, H5FD_file_image_op_t, void*) {
    return std::memcpy(to, from, size);
  };
  callbacks.image_realloc = [](void* old, size_t size, H5FD_file_image_op_t, void* data) {
    auto* kept = static_cast<Buffer*>(data);
    void* grown = std::realloc(old, size);
    if (grown) kept->data = grown, kept->size = size;
    return grown;
  };
  callbacks.image_free = [](void*, H5FD_file_image_op_t, void*) -> herr_t { return 0; };  // Buffer's destructor frees
  const Handle access = memory_access();
  check(H5Pset_file_image_callbacks(access.id(), &callbacks), where, "create a file in memory", Failure::writing);
  const Handle creation = property_list(H5P_FILE_CREATE);
  H5Pset_obj_track_times(creation.id(), false);
  H5Pset_link_creation_order(creation.id(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  H5Pset_attr_phase_change(creation.id(), inline_attributes, 0);
  Handle file = own(H5Fcreate(unused_name().c_str(), H5F_ACC_TRUNC, creation.id(), access.id()), H5Fclose, where,
                    "create a file in memory", Failure::writing);
  return {std::move(buffer), std::move(file), std::move(where)};
}

MemoryFile MemoryFile::open(std::string_view image, std::string where) {
  const Handle access = memory_access();
  check(H5Pset_file_image(access.id(), const_cast<char*>(image.data()), image.size()), where, "hold the file in memory",
        Failure::reading);
  Handle file = own(H5Fopen(unused_name().c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose, where, "open the file",
                    Failure::reading);
  return {nullptr, std::move(file), std::move(where)};
}

std::string MemoryFile::close() {
  expect(buffer_ != nullptr, "only a created file can be closed into its bytes");
  const std::string where = root_.where;
  check(H5Fflush(file_.id(), H5F_SCOPE_GLOBAL), where, "flush", Failure::writing);
  const ssize_t size = H5Fget_file_image(file_.id(), nullptr, 0);  // the end of what is allocated
  if (size <= 0) throw_hdf5(where, "size the file", Failure::writing);
  root_ = {};
  check(H5Fclose(file_.release()), where, "close the file in memory", Failure::writing);
  expect(buffer_->data != nullptr && static_cast<size_t>(size) <= buffer_->size,
         "the core driver keeps the whole file");
  return {static_cast<const char*>(buffer_->data), static_cast<size_t>(size)};
}

std::string child_where(const Object& parent, const std::string& name) {
  return parent.where + (parent.where.find(": /") == std::string::npos ? ": /" : "/") + name;
}

Object create_group(const Object& parent, const std::string& name) {
  const Handle creation = property_list(H5P_GROUP_CREATE);
  H5Pset_obj_track_times(creation.id(), false);
  H5Pset_link_creation_order(creation.id(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  H5Pset_attr_phase_change(creation.id(), inline_attributes, 0);
  std::string where = child_where(parent, name);
  return {own(H5Gcreate2(parent.id(), name.c_str(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), H5Gclose, where,
              "create the group", Failure::writing),
          where};
}

Object open_group(const Object& parent, const std::string& name) {
  std::string where = child_where(parent, name);
  return {own(H5Gopen2(parent.id(), name.c_str(), H5P_DEFAULT), H5Gclose, where, "open the group", Failure::reading),
          where};
}

Object open_dataset(const Object& parent, const std::string& name) {
  std::string where = child_where(parent, name);
  return {own(H5Dopen2(parent.id(), name.c_str(), H5P_DEFAULT), H5Dclose, where, "open the dataset", Failure::reading),
          where};
}

std::vector<Link> links(const Object& group) {
  H5G_info_t info{};
  check(H5Gget_info(group.id(), &info), group.where, "list the group", Failure::reading);
  const Handle creation =
      own(H5Gget_create_plist(group.id()), H5Pclose, group.where, "list the group", Failure::reading);
  unsigned order = 0;
  H5Pget_link_creation_order(creation.id(), &order);
  const H5_index_t index = order & H5P_CRT_ORDER_TRACKED ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
  std::vector<Link> found;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const ssize_t length = H5Lget_name_by_idx(group.id(), ".", index, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT);
    if (length < 0) throw_hdf5(group.where, "list the group", Failure::reading);
    std::string name(static_cast<size_t>(length) + 1, '\0');
    H5Lget_name_by_idx(group.id(), ".", index, H5_ITER_INC, i, name.data(), name.size(), H5P_DEFAULT);
    name.pop_back();
    const Handle child = own(H5Oopen(group.id(), name.c_str(), H5P_DEFAULT), H5Oclose, child_where(group, name),
                             "open the object", Failure::reading);
    const H5I_type_t type = H5Iget_type(child.id());
    found.push_back({name, type == H5I_GROUP ? Kind::group : type == H5I_DATASET ? Kind::dataset : Kind::other});
  }
  return found;
}

Handle text_type() {
  Handle type = own(H5Tcopy(H5T_C_S1), H5Tclose, "HDF5", "make a type", Failure::writing);
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

void write_attribute(const Object& object, const char* name, std::string_view text) {
  const std::string copy(text);
  if (copy.find('\0') != std::string::npos || !is_valid_utf8(copy))
    throw BadData({object.where + ": " + name, "is not valid UTF-8 text without NUL", "give text"});
  const char* pointer = copy.c_str();
  const Handle type = text_type();
  write_raw_attribute(object, name, type.id(), type.id(), scalar(), &pointer);
}

void write_attribute(const Object& object, const char* name, double number) {
  write_raw_attribute(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, scalar(), &number);
}

void write_attribute(const Object& object, const char* name, int64_t number) {
  write_raw_attribute(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, scalar(), &number);
}

void write_attribute(const Object& object, const char* name, std::span<const int64_t> numbers) {
  const hsize_t length = numbers.size();
  const Handle space =
      own(H5Screate_simple(1, &length, nullptr), H5Sclose, object.where, "make a dataspace", Failure::writing);
  write_raw_attribute(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, space, numbers.data());
}

bool has_attribute(const Object& object, const char* name) {
  return H5Aexists(object.id(), name) > 0;
}

std::string read_text_attribute(const Object& object, const char* name) {
  const Handle attribute = open_attribute(object, name);
  const std::string where = object.where + ": " + name;
  const Handle type = own(H5Aget_type(attribute.id()), H5Tclose, where, "read a type", Failure::reading);
  const Handle space = own(H5Aget_space(attribute.id()), H5Sclose, where, "read a dataspace", Failure::reading);
  if (H5Tget_class(type.id()) != H5T_STRING || H5Sget_simple_extent_npoints(space.id()) != 1)
    throw BadData({where, "is not one text", "this file was not written by cmc"});
  if (!H5Tis_variable_str(type.id())) return fixed_text(attribute, H5Tget_size(type.id()), where);
  char* pointer = nullptr;
  const Handle memory = text_type();
  check(H5Aread(attribute.id(), memory.id(), &pointer), where, "read an attribute", Failure::reading);
  std::string text = pointer ? pointer : "";
  H5free_memory(pointer);
  return text;
}

std::vector<int64_t> read_integers_attribute(const Object& object, const char* name) {
  const Handle attribute = open_attribute(object, name);
  const Handle space = own(H5Aget_space(attribute.id()), H5Sclose, object.where, "read a dataspace", Failure::reading);
  const Handle type = own(H5Aget_type(attribute.id()), H5Tclose, object.where, "read a type", Failure::reading);
  const hssize_t length = H5Sget_simple_extent_npoints(space.id());
  if (H5Tget_class(type.id()) != H5T_INTEGER || length < 0 || length > (1 << 26))
    throw BadData({object.where + ": " + name, "is not a list of integers", "this file was not written by cmc"});
  std::vector<int64_t> numbers(static_cast<size_t>(length));
  check(H5Aread(attribute.id(), H5T_NATIVE_INT64, numbers.data()), object.where, "read an attribute", Failure::reading);
  return numbers;
}

}  // namespace cmc::store
