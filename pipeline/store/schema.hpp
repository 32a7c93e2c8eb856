#pragma once
#include <string_view>

// Every name the HDF5 files use, in one place. results/README.md says the same in words.
namespace cmc::store::schema {

inline constexpr std::string_view version = "2.0";  // major.minor
// Majors that can be read. 1: no tables but /tasks, no plan.
inline constexpr int first_major = 1, last_major = 2;
inline constexpr std::string_view conventions = "CMC-2.0";  // names follow CF where it has one, openPMD for provenance
inline constexpr std::string_view references =
    "Cross-model Control: Improving Multiple Large Language Models in One-time Training, NeurIPS 2024, "
    "arXiv:2410.17599";

// Root attributes (CF names, then openPMD names).
namespace root {
inline constexpr char conventions[] = "Conventions";
inline constexpr char schema_version[] = "schema_version";
inline constexpr char title[] = "title";
inline constexpr char history[] = "history";
inline constexpr char references[] = "references";
inline constexpr char software[] = "software";
inline constexpr char software_version[] = "softwareVersion";
inline constexpr char software_dependencies[] = "softwareDependencies";
inline constexpr char machine[] = "machine";
inline constexpr char date[] = "date";
}  // namespace root

// Groups beside the stages in results.h5; no stage may have these names.
inline constexpr char configuration_group[] = "configuration";
inline constexpr char experiment_dataset[] = "experiment";
inline constexpr char environment_dataset[] = "environment";
inline constexpr char tasks_group[] = "tasks";
inline constexpr char plan_group[] = "plan";
inline constexpr const char* other_groups[] = {configuration_group, tasks_group,    plan_group, "systems", "sets",
                                               "metrics",           "measurements", "summary"};

// Attributes of a unit's group; task, provenance and cost are JSON text.
inline constexpr char key[] = "key";
inline constexpr char stage[] = "stage";
inline constexpr char task[] = "task";
inline constexpr char provenance[] = "provenance";
inline constexpr char cost[] = "cost";

// Attributes of a dataset.
inline constexpr char units[] = "units";
inline constexpr char long_name[] = "long_name";
inline constexpr char definition[] = "definition";
inline constexpr char zero_bytes[] = "zero_bytes";  // [2n] (string, byte) positions of NUL, written as U+FFFD
inline constexpr char refers_to[] = "refers_to";    // of a column: the table whose rows its values are
inline constexpr char role[] = "role";              // absent: a plain dataset
inline constexpr char role_index[] = "index";       // counts 0, 1, … along a dimension without a coordinate
inline constexpr char role_ragged[] = "ragged_values";
inline constexpr char role_offsets[] = "ragged_offsets";
inline constexpr char ragged_dimension[] = "ragged_dimension";  // what the sequences are counted along
inline constexpr std::string_view values_suffix = "_values";
inline constexpr std::string_view offsets_suffix = "_offsets";

// Shortest key shown in a group's name; longer where two units would share it.
inline constexpr int short_key_length = 12;

// Chunks stay between 256 KiB and 1 MiB; an array below the upper bound is one chunk.
inline constexpr long long max_chunk_bytes = 1 << 20;
inline constexpr unsigned deflate_level = 4;

}  // namespace cmc::store::schema
