#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace cmc {

// A new file whose every write, sync and close is checked: a full NFS or quota may show only at the last of them.
// Interrupted and short writes go on. Not published: see publish_file.
class OutputFile {
 public:
  // Creates `file`, which must not exist. `name` stands in errors: what the file is going to be. Throws CannotCreate or
  // IoError, as the others do.
  OutputFile(const std::filesystem::path& file, const std::filesystem::path& name);
  // Writes to what is open already, and closes it.
  OutputFile(int descriptor, const std::filesystem::path& name) : name_(name), descriptor_(descriptor) {}
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view bytes);
  void finish();  // to the disk, then closed; nothing may follow

 private:
  std::filesystem::path name_;
  int descriptor_ = -1;
};

// Throws CannotCreate (permissions, a missing folder) or IoError for `error`, an errno value.
[[noreturn]] void throw_file_error(const std::filesystem::path& file, const char* doing, int error);

// To the disk: what a file holds, and which entries a folder has. `name` stands in errors.
void sync_file(const std::filesystem::path& file, const std::filesystem::path& name);
void sync_folder(const std::filesystem::path& folder, const std::filesystem::path& name);

// One step for whoever looks; the folder is not synced yet. The first gives 0 or an errno value instead of throwing.
int try_rename(const std::filesystem::path& from, const std::filesystem::path& to);
void rename_into_place(const std::filesystem::path& temporary, const std::filesystem::path& file);

}  // namespace cmc
