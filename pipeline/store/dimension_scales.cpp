#include "pipeline/store/dimension_scales.hpp"

#include <hdf5.h>

#include "pipeline/core/error.hpp"

static_assert(sizeof(hobj_ref_t) == sizeof(uint64_t) && std::is_unsigned_v<hobj_ref_t>);

namespace cmc::store {
namespace {

// CLASS and NAME must be fixed-length, NUL-terminated ASCII (specification, section 3.1).
void write_fixed_attribute(const Object& object, const char* name, const std::string& text) {
  const Handle type = own(H5Tcopy(H5T_C_S1), H5Tclose, object.where, "make a type", Failure::writing);
  H5Tset_size(type.id(), text.size() + 1);
  const Handle space = own(H5Screate(H5S_SCALAR), H5Sclose, object.where, "make a dataspace", Failure::writing);
  const Handle attribute = own(H5Acreate2(object.id(), name, type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                               object.where, "create an attribute", Failure::writing);
  check(H5Awrite(attribute.id(), type.id(), text.c_str()), object.where, "write an attribute", Failure::writing);
}

hobj_ref_t reference_to(const Object& object) {
  hobj_ref_t reference{};
  check(H5Rcreate(&reference, object.id(), ".", H5R_OBJECT, -1), object.where, "make a reference", Failure::writing);
  return reference;
}

Handle list_space(hsize_t length, const std::string& where) {
  return own(H5Screate_simple(1, &length, nullptr), H5Sclose, where, "make a dataspace", Failure::writing);
}

Handle list_of_references_type(const std::string& where) {
  return own(H5Tvlen_create(H5T_STD_REF_OBJ), H5Tclose, where, "make a type", Failure::writing);
}

// By the attribute NAME: H5Iget_name would search the whole file, once for each axis.
std::string name_of(hid_t container, hobj_ref_t reference, const std::string& where) {
  const Handle scale = own(H5Rdereference2(container, H5P_DEFAULT, H5R_OBJECT, &reference), H5Oclose, where,
                           "follow a dimension", Failure::reading);
  const Handle attribute =
      own(H5Aopen(scale.id(), "NAME", H5P_DEFAULT), H5Aclose, where, "name a dimension", Failure::reading);
  const Handle type = own(H5Aget_type(attribute.id()), H5Tclose, where, "read a type", Failure::reading);
  if (H5Tget_class(type.id()) != H5T_STRING || H5Tis_variable_str(type.id()) != 0)
    throw BadData({where, "has a dimension whose NAME is no fixed text", "this file was not written by cmc"});
  std::string name(H5Tget_size(type.id()), '\0');
  check(H5Aread(attribute.id(), type.id(), name.data()), where, "name a dimension", Failure::reading);
  return name.substr(0, name.find('\0'));
}

}  // namespace

void DimensionScales::add_scale(const std::string& name, Object dataset) {
  write_fixed_attribute(dataset, "CLASS", "DIMENSION_SCALE");
  write_fixed_attribute(dataset, "NAME", name);
  const hobj_ref_t reference = reference_to(dataset);
  scales_.emplace(name, Scale{std::move(dataset), reference, {}});
}

void DimensionScales::attach(const Object& dataset, const std::vector<std::string>& names) {
  if (names.empty()) return;
  std::vector<hvl_t> lists;
  for (size_t axis = 0; axis < names.size(); ++axis) {
    const auto found = scales_.find(names[axis]);
    expect(found != scales_.end(), "every dimension has a scale");
    lists.push_back({1, &found->second.reference});
    found->second.users.push_back({reference_to(dataset), static_cast<int>(axis)});
  }
  const Handle type = list_of_references_type(dataset.where);
  const Handle space = list_space(lists.size(), dataset.where);
  const Handle attribute =
      own(H5Acreate2(dataset.id(), "DIMENSION_LIST", type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
          dataset.where, "create an attribute", Failure::writing);
  check(H5Awrite(attribute.id(), type.id(), lists.data()), dataset.where, "write an attribute", Failure::writing);
}

void DimensionScales::finish() {
  for (auto& [name, scale] : scales_) {
    if (scale.users.empty()) continue;
    const std::string& where = scale.dataset.where;
    // The layout of H5DS's own ds_list_t; zeroed padding keeps the bytes the same from run to run.
    std::string rows(scale.users.size() * sizeof(BackReference), '\0');
    for (size_t i = 0; i < scale.users.size(); ++i) {
      char* row = rows.data() + i * sizeof(BackReference);
      std::char_traits<char>::copy(row + offsetof(BackReference, dataset),
                                   reinterpret_cast<const char*>(&scale.users[i].dataset), sizeof(Reference));
      std::char_traits<char>::copy(row + offsetof(BackReference, axis),
                                   reinterpret_cast<const char*>(&scale.users[i].axis), sizeof(int));
    }
    const Handle type =
        own(H5Tcreate(H5T_COMPOUND, sizeof(BackReference)), H5Tclose, where, "make a type", Failure::writing);
    H5Tinsert(type.id(), "dataset", offsetof(BackReference, dataset), H5T_STD_REF_OBJ);
    H5Tinsert(type.id(), "dimension", offsetof(BackReference, axis), H5T_NATIVE_INT);
    const Handle space = list_space(scale.users.size(), where);
    const Handle attribute =
        own(H5Acreate2(scale.dataset.id(), "REFERENCE_LIST", type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
            where, "create an attribute", Failure::writing);
    check(H5Awrite(attribute.id(), type.id(), rows.data()), where, "write an attribute", Failure::writing);
  }
  scales_.clear();
}

std::vector<std::string> read_dimension_names(const Object& dataset, const std::string& own_name, size_t rank) {
  if (rank == 0) return {};
  if (!has_attribute(dataset, "DIMENSION_LIST")) {
    if (rank == 1 && has_attribute(dataset, "CLASS")) return {own_name};
    throw BadData({dataset.where, "has axes without names", "this file was not written by cmc"});
  }
  const Handle attribute = own(H5Aopen(dataset.id(), "DIMENSION_LIST", H5P_DEFAULT), H5Aclose, dataset.where,
                               "open an attribute", Failure::reading);
  const Handle space = own(H5Aget_space(attribute.id()), H5Sclose, dataset.where, "read a dataspace", Failure::reading);
  const Handle stored = own(H5Aget_type(attribute.id()), H5Tclose, dataset.where, "read a type", Failure::reading);
  if (H5Tget_class(stored.id()) != H5T_VLEN || H5Sget_simple_extent_npoints(space.id()) != static_cast<hssize_t>(rank))
    throw BadData({dataset.where, "names another number of axes than it has", "this file was not written by cmc"});
  const Handle type = list_of_references_type(dataset.where);
  std::vector<hvl_t> lists(rank, hvl_t{0, nullptr});
  check(H5Aread(attribute.id(), type.id(), lists.data()), dataset.where, "read an attribute", Failure::reading);
  std::vector<hobj_ref_t> references;
  for (const hvl_t& list : lists) references.push_back(list.len == 1 ? *static_cast<hobj_ref_t*>(list.p) : 0);
  H5Dvlen_reclaim(type.id(), space.id(), H5P_DEFAULT, lists.data());
  std::vector<std::string> names;
  for (const hobj_ref_t reference : references) names.push_back(name_of(dataset.id(), reference, dataset.where));
  return names;
}

}  // namespace cmc::store
