#pragma once
#include <string>
#include <vector>

#include "pipeline/store/hdf5_file.hpp"
#include "pipeline/store/unit.hpp"

namespace cmc::store {

// Writes `values` of the given shape as `name`. Numbers: one or more chunks, shuffle + deflate + fletcher32. Texts:
// variable-length UTF-8. Throws BadData for a text that is not UTF-8, naming the dataset and the element.
Object write_values(const Object& group, const std::string& name, const std::vector<int64_t>& shape,
                    const Values& values);

// float32, float64, int32, int64 or text; BadData for any other type, or when the shape promises more than the file
// holds.
Values read_values(const Object& dataset);
std::vector<int64_t> read_shape(const Object& dataset);

}  // namespace cmc::store
