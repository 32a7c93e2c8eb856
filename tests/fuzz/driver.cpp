// libFuzzer's main for any compiler: fuzz_TARGET CORPUS_FOLDER INPUTS SEED CURRENT_FILE gives the target INPUTS
// mutations of the corpus and keeps the one under way in CURRENT_FILE, so that it is there after a crash; fuzz_TARGET
// FILE... repeats.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "pipeline/core/files.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/fuzz/mutate.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {
namespace fs = std::filesystem;

constexpr size_t longest = 1 << 20;
constexpr unsigned seconds_each = 30;

void give(const std::string& input) {
  ::alarm(seconds_each);  // a reader that hangs dies of SIGALRM
  // A copy of its own size: sanitizers then see a read behind it.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

// Mapped, so that a crash keeps it: eight bytes of length, then the input.
class Current {
 public:
  explicit Current(const char* file) {
    const int descriptor = ::open(file, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (descriptor < 0 || ::ftruncate(descriptor, longest + sizeof(uint64_t)) != 0) std::perror(file), std::exit(2);
    place_ = static_cast<char*>(
        ::mmap(nullptr, longest + sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0));
    if (place_ == MAP_FAILED) std::perror(file), std::exit(2);
    ::close(descriptor);
  }
  void set(const std::string& input) {
    const uint64_t size = input.size();
    std::memcpy(place_, &size, sizeof size);
    std::memcpy(place_ + sizeof size, input.data(), input.size());
  }

 private:
  char* place_;
};

// A reader that asks for more memory than any input deserves gets none. Sanitizers map terabytes for themselves.
void limit_memory() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const rlimit limit = {rlim_t{4} << 30, rlim_t{4} << 30};
  ::setrlimit(RLIMIT_AS, &limit);
#endif
}

std::vector<std::string> corpus(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(folder)) files.push_back(file.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> seeds;
  for (const fs::path& file : files) seeds.push_back(cmc::read_file(file));
  return seeds;
}

}  // namespace

int main(int argc, char** argv) {
  limit_memory();
  if (argc != 5 || !fs::is_directory(argv[1])) {
    cmc::fuzz::tells_refusals = true;
    for (int i = 1; i < argc; ++i) give(cmc::read_file(argv[i]));
    std::printf("taken by %d readers\n", cmc::fuzz::taken);
    return 0;
  }
  const std::vector<std::string> seeds = corpus(argv[1]);
  Current current(argv[4]);
  for (const std::string& seed : seeds) current.set(seed.substr(0, longest)), give(seed.substr(0, longest));
  cmc::Random random(std::strtoull(argv[3], nullptr, 10));
  const long inputs = std::atol(argv[2]);
  for (long i = 0; i < inputs; ++i) {
    const std::string input = cmc::fuzz::mutate(seeds, random).substr(0, longest);
    current.set(input);
    give(input);
  }
  std::printf("%ld\n", inputs);
  return 0;
}
