#include "analysis/plot.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <sstream>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"

namespace cmc::analysis {
namespace {
namespace fs = std::filesystem;

// Okabe and Ito (2008): told apart with every kind of colour vision.
constexpr const char* colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                   "#e69f00", "#56b4e9", "#000000", "#999933"};

// Within double quotes gnuplot reads backslashes; names from outside may hold anything.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' || c == '`' ? ' ' : c;
  }
  return out + '"';
}

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

}  // namespace

std::string gnuplot_script(const Plot& plot) {
  std::ostringstream out;
  out.precision(10);
  out << "set encoding utf8\nset grid lc rgb \"#dddddd\"\nset border 3\nset tics nomirror\nset key outside top "
         "center horizontal noenhanced\n"
      << "set title " << quoted(plot.title) << " noenhanced\nset xlabel " << quoted(plot.x_label)
      << " noenhanced\nset ylabel " << quoted(plot.y_label)
      << " noenhanced\nset autoscale noextend\nset offsets graph 0.03, graph 0.03, graph 0.05, graph 0.05\n";
  for (size_t s = 0; s < plot.series.size(); ++s) {
    const Series& series = plot.series[s];
    out << "$data" << s << " << END\n";
    for (size_t i = 0; i < series.x.size(); ++i) {
      const double error = i < series.error.size() && std::isfinite(series.error[i]) ? series.error[i] : 0;
      if (std::isfinite(series.x[i]) && std::isfinite(series.y[i]))
        out << series.x[i] << ' ' << series.y[i] << ' ' << error << '\n';
    }
    out << "END\n";
  }
  std::string curves;
  for (size_t s = 0; s < plot.series.size(); ++s) {
    const Series& series = plot.series[s];
    const std::string colour = std::string(" lc rgb \"") + colours[s % std::size(colours)] + "\"";
    const bool bars = !series.error.empty(), points = series.x.size() <= 60;
    curves += (s ? ", \\\n     $data" : "$data") + std::to_string(s) +
              (bars ? " using 1:2:3 with yerrorlines" : " using 1:2 with ") +
              (bars     ? ""
               : points ? "linespoints"
                        : "lines") +
              (points ? " pt 7 ps 0.6 lw 2" : " lw 2") + colour + " title " + quoted(series.name);
  }
  const std::string draw = "plot " + curves + "\n";
  out << "set terminal svg size 760,460 dynamic font \"Helvetica,13\"\nset output " << quoted(plot.id + ".svg") << "\n"
      << draw << "set terminal pdfcairo size 6.3,3.8 font \"Helvetica,11\"\nset output " << quoted(plot.id + ".pdf")
      << "\n"
      << draw;
  return out.str();
}

Drawn draw(const Plot& plot, const fs::path& folder) {
  const std::string script = gnuplot_script(plot);
  publish_file(folder / (plot.id + ".gp"), script);
  const fs::path work = temporary_beside(folder / plot.id);
  create_folder(work);
  Drawn drawn;
  try {
    publish_file(work / "plot.gp", script);
    drawn.problem = run_gnuplot(work);
    if (drawn.problem.empty()) {
      drawn.svg = read_file(work / (plot.id + ".svg"));
      publish_file(folder / (plot.id + ".svg"), drawn.svg);
      publish_file(folder / (plot.id + ".pdf"), read_file(work / (plot.id + ".pdf")));
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
