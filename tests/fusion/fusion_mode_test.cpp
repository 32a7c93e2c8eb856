#include "pipeline/fusion/fusion_mode.hpp"

#include <gtest/gtest.h>

#include "pipeline/core/error.hpp"
#include "pipeline/fusion/map_variant.hpp"

namespace cmc::fusion {

TEST(FusionMode, NamesAndModesAreInverse) {
  for (const auto mode : {FusionMode::base_normalized, FusionMode::both_normalized, FusionMode::raw_sum})
    EXPECT_EQ(fusion_mode(name_of(mode)), mode);
}

TEST(FusionMode, AnUnknownNameNamesTheKnownOnes) {
  try {
    fusion_mode("sum");
    FAIL();
  } catch (const BadExperiment& error) {
    EXPECT_NE(std::string(error.what()).find("both_normalized"), std::string::npos) << error.what();
  }
}

TEST(Unmapped, NamesAndTreatmentsAreInverse) {
  for (const auto treatment : {Unmapped::zero, Unmapped::minimum, Unmapped::mean})
    EXPECT_EQ(unmapped(name_of(treatment)), treatment);
  EXPECT_THROW(unmapped("maximum"), BadExperiment);
}

}  // namespace cmc::fusion
