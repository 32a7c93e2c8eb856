#include "analysis/gnuplot.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"

namespace cmc::analysis {
namespace {
namespace fs = std::filesystem;

// Runs gnuplot on "plot.gp" in `folder`; its complaint, or why it could not start, or nothing.
std::string run_gnuplot(const fs::path& folder) {
  const std::string errors = (folder / "errors").string();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "errors", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  char program[] = "gnuplot", script[] = "plot.gp";
  char* arguments[] = {program, script, nullptr};
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, program, &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed)
    return std::string("gnuplot cannot be started: ") + std::strerror(failed) + " (install the package gnuplot-nox)";
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
  return "gnuplot failed: " + read_file(errors).substr(0, 300);
}

// Browsers smooth images unless told; a heat map's cells have edges.
std::string with_sharp_images(std::string svg) {
  const std::string plain = "<image ", sharp = "<image style='image-rendering:pixelated' ";
  for (size_t at = 0; (at = svg.find(plain, at)) != std::string::npos; at += sharp.size())
    svg.replace(at, plain.size(), sharp);
  return svg;
}

}  // namespace

Drawn draw(const Drawing& drawing, const fs::path& folder) {
  publish_file(folder / (drawing.id + ".gp"), drawing.script);
  const fs::path work = temporary_beside(folder / drawing.id);
  create_folder(work);
  Drawn drawn;
  try {
    publish_file(work / "plot.gp", drawing.script);
    drawn.problem = run_gnuplot(work);
    if (drawn.problem.empty()) {
      drawn.svg = with_sharp_images(read_file(work / (drawing.id + ".svg")));
      publish_file(folder / (drawing.id + ".svg"), drawn.svg);
      for (const char* type : {".pdf", ".png"})
        publish_file(folder / (drawing.id + type), read_file(work / (drawing.id + type)));
    }
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(work, ignored);
    throw;
  }
  std::error_code ignored;
  fs::remove_all(work, ignored);
  return drawn;
}

}  // namespace cmc::analysis
