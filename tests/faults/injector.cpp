// A disk that fails on demand, for LD_PRELOAD: counts the calls that change or open files below FAULT_FOLDER and makes
// the n-th of a kind fail, the same one each time. From the environment:
//   FAULT_FOLDER  absolute path; calls on other files pass untouched
//   FAULT_CALL    write, fsync, rename, open, close, mkdir, unlink; space: write, mkdir and the opening of a new file
//   FAULT_NTH     which call, from 1
//   FAULT_HOW     ENOSPC, EIO, EINTR; short (a write of half the bytes, at least one); crash (SIGKILL before the call)
//   FAULT_ONWARD  1: every call from the n-th on fails, as on a full disk, in all processes that share FAULT_MARK
//   FAULT_MARK    a file created when a fault was injected, outside FAULT_FOLDER
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

struct Settings {
  std::string folder = setting("FAULT_FOLDER"), call = setting("FAULT_CALL"), how = setting("FAULT_HOW");
  std::string mark = setting("FAULT_MARK");
  long nth = std::atol(setting("FAULT_NTH").c_str());
  bool onward = setting("FAULT_ONWARD") == "1";
};

const Settings& settings() {
  static const Settings read;
  return read;
}

template <class Function>
Function* original(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

bool is_below(std::string_view path) {
  const std::string& folder = settings().folder;
  return !folder.empty() && path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

bool is_below(int descriptor) {
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = ::readlink(link.c_str(), path, sizeof path);
  return length > 0 && is_below(std::string_view(path, static_cast<size_t>(length)));
}

enum class Fault { none, error, half };

// Whether this call, one of `call` below the folder, is the one to fail. Sets errno for an error.
Fault next(const char* call) {
  static std::atomic<long> count{0};
  const Settings& s = settings();
  const std::string_view kind(call);
  if (s.call != kind && !(s.call == "space" && (kind == "write" || kind == "open" || kind == "mkdir")))
    return Fault::none;
  const long number = ++count;
  const bool full = s.onward && (number > s.nth || ::access(s.mark.c_str(), F_OK) == 0);
  if (!full && number != s.nth) return Fault::none;
  const long mark = ::syscall(SYS_openat, AT_FDCWD, s.mark.c_str(), O_WRONLY | O_CREAT, 0644);
  ::syscall(SYS_close, mark);
  if (s.how == "crash") ::kill(::getpid(), SIGKILL);
  if (s.how == "short") return Fault::half;
  errno = s.how == "ENOSPC" ? ENOSPC : s.how == "EINTR" ? EINTR : EIO;
  return Fault::error;
}

bool fails(const char* call, std::string_view path) {
  return is_below(path) && next(call) == Fault::error;
}

// Opening what exists takes no space, and opening a folder is not interrupted.
bool open_fails(const char* path, int flags) {
  if (settings().how == "ENOSPC" && (!(flags & O_CREAT) || ::access(path, F_OK) == 0)) return false;
  if (settings().how == "EINTR" && (flags & O_DIRECTORY)) return false;
  return fails("open", path);
}

mode_t mode_of(int flags, va_list& rest) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return open_fails(path, flags) ? -1 : original<int(const char*, int, ...)>("open")(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return open_fails(path, flags) ? -1 : original<int(const char*, int, ...)>("open64")(path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return open_fails(path, flags) ? -1 : original<int(int, const char*, int, ...)>("openat")(folder, path, flags, mode);
}

ssize_t write(int descriptor, const void* bytes, size_t size) {
  const Fault fault = is_below(descriptor) ? next("write") : Fault::none;
  if (fault == Fault::error) return -1;
  return original<ssize_t(int, const void*, size_t)>("write")(
      descriptor, bytes, fault == Fault::half ? std::max<size_t>(size / 2, 1) : size);
}

ssize_t writev(int descriptor, const iovec* parts, int count) {
  const Fault fault = is_below(descriptor) ? next("write") : Fault::none;
  if (fault == Fault::error) return -1;
  return original<ssize_t(int, const iovec*, int)>("writev")(descriptor, parts, fault == Fault::half ? 1 : count);
}

// Of a log: what stdio writes by itself passes by write().
size_t fwrite(const void* bytes, size_t size, size_t count, FILE* file) {
  const bool failing = is_below(::fileno(file)) && next("write") == Fault::error;
  return failing ? 0 : original<size_t(const void*, size_t, size_t, FILE*)>("fwrite")(bytes, size, count, file);
}

FILE* fopen(const char* path, const char* mode) {
  const bool failing = *mode != 'r' && open_fails(path, O_WRONLY | O_CREAT);
  return failing ? nullptr : original<FILE*(const char*, const char*)>("fopen")(path, mode);
}

int posix_fallocate(int descriptor, off_t first, off_t length) {
  const bool failing = is_below(descriptor) && next("write") == Fault::error;
  return failing ? errno : original<int(int, off_t, off_t)>("posix_fallocate")(descriptor, first, length);
}

int fsync(int descriptor) {
  return is_below(descriptor) && next("fsync") == Fault::error ? -1 : original<int(int)>("fsync")(descriptor);
}

// As Linux does, the descriptor is gone whatever close says. What was only read loses nothing.
int close(int descriptor) {
  const bool written = (::fcntl(descriptor, F_GETFL) & O_ACCMODE) != O_RDONLY;
  const bool failing = written && is_below(descriptor) && next("close") == Fault::error;
  const int error = errno, result = original<int(int)>("close")(descriptor);
  if (failing) errno = error;
  return failing ? -1 : result;
}

int rename(const char* from, const char* to) noexcept {
  return fails("rename", to) ? -1 : original<int(const char*, const char*)>("rename")(from, to);
}

int mkdir(const char* path, mode_t mode) noexcept {
  return fails("mkdir", path) ? -1 : original<int(const char*, mode_t)>("mkdir")(path, mode);
}

int unlink(const char* path) noexcept {
  return fails("unlink", path) ? -1 : original<int(const char*)>("unlink")(path);
}

}  // extern "C"
