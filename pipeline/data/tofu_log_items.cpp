#include "pipeline/data/tofu_log_items.hpp"

#include <limits>

#include "pipeline/core/error.hpp"

namespace cmc::data {
namespace {

double number(const Json& value, double most, const std::string& where) {
  if (!value.is_number())
    throw BadData({where, std::string("is ") + (value.is_null() ? "null, NaN or Infinity" : value.type_name()),
                   "it must be a number; a model that gives none cannot be scored"});
  const double x = value.get<double>();
  if (x < 0 && x > -1e-6) return 0;
  if (!(x >= 0 && x <= most))
    throw BadData({where, "is " + value.dump(), most == 1 ? "it must lie between 0 and 1" : "a loss is not negative"});
  return x;
}

}  // namespace

double logged_loss(const Json& value, const std::string& where) {
  return number(value, std::numeric_limits<double>::max(), where);
}

double logged_fraction(const Json& value, const std::string& where) {
  return number(value, 1, where);
}

std::vector<double> logged_losses(const Json& list, const std::string& where) {
  if (!list.is_array() || list.empty())
    throw BadData({where, std::string("is ") + (list.is_array() ? "empty" : list.type_name()),
                   "it must be a list with the loss of each wrong answer"});
  std::vector<double> losses;
  for (size_t i = 0; i < list.size(); ++i)
    losses.push_back(logged_loss(list[i], where + "[" + std::to_string(i) + "]"));
  return losses;
}

void expect_as_many_wrong(const TofuLogItem& item, const TofuLogItem& first, const std::string& where) {
  if (item.wrong_losses.size() != first.wrong_losses.size())
    throw BadData({where,
                   "has " + std::to_string(item.wrong_losses.size()) + " losses, item " + first.key + " has " +
                       std::to_string(first.wrong_losses.size()),
                   "the truth ratio compares items with equally many wrong answers: evaluate the set again"});
}

}  // namespace cmc::data
