#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/store/hdf5_file.hpp"

namespace cmc::store {

// Dimension scales (HDF5 Dimension Scale Specification, 2005), as netCDF-4, h5py and xarray read them. Written here
// rather than through hdf5_hl: H5DSattach_scale rewrites a scale's whole reference list for each dataset attached to
// it.
class DimensionScales {
 public:
  // Makes `dataset` the scale named `name` of its group.
  void add_scale(const std::string& name, Object dataset);
  // Names every axis of `dataset`; all names must be scales.
  void attach(const Object& dataset, const std::vector<std::string>& names);
  // Writes the scales' back references; call once, last.
  void finish();

 private:
  using Reference = uint64_t;  // HDF5's hobj_ref_t
  struct BackReference {       // layout of H5DS's ds_list_t
    Reference dataset;
    int axis;
  };
  struct Scale {
    Object dataset;
    Reference reference;
    std::vector<BackReference> users;
  };
  std::map<std::string, Scale> scales_;
};

// Names of a dataset's axes: of the scales attached to it, or its own name where it is a scale itself.
std::vector<std::string> read_dimension_names(const Object& dataset, const std::string& own_name, size_t rank);

}  // namespace cmc::store
