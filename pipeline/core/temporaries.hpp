#pragma once
#include <filesystem>

namespace cmc {

// Files and folders under a name of temporary_beside (files.hpp): work of a process that has not published it yet.
bool is_temporary(const std::filesystem::path& path);

// Deletes the temporaries below `folder`, at any depth, of killed writers: processes of this host that are gone, and
// whatever is older than a day. Returns how many. What cannot be deleted, or vanishes meanwhile, stays for the next
// call.
int remove_abandoned(const std::filesystem::path& folder);

}  // namespace cmc
