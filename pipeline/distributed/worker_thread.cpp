#include "pipeline/distributed/worker_thread.hpp"

#include <chrono>

namespace cmc::distributed {

WorkerThread::WorkerThread(const Plan& plan, const Communicator& world, const RunTask& run)
    : plan_(plan), world_(world), run_(run), thread_([this] { work(); }) {}

WorkerThread::~WorkerThread() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
    abandoned_.request_stop();
  }
  changed_.notify_all();
  thread_.join();
}

void WorkerThread::start(Job job) {
  {
    const std::lock_guard lock(mutex_);
    expect(!job_ && !report_, "a worker has one job at a time");
    current_ = job.id;
    if (job.tensor_group == 0 || job.tensor_group != current_tensor_group_) abandoned_ = std::stop_source();
    current_tensor_group_ = job.tensor_group;
    job_ = std::move(job);
  }
  changed_.notify_all();
}

void WorkerThread::abandon(int id) {
  const std::lock_guard lock(mutex_);
  if (id == current_) abandoned_.request_stop();
}

std::optional<WorkerThread::Report> WorkerThread::wait(double seconds) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return report_.has_value(); });
  return std::exchange(report_, std::nullopt);
}

void WorkerThread::work() {
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return quit_ || job_; });
    if (quit_) return;
    const Job job = *job_;
    const std::stop_token abandoned = abandoned_.get_token();
    lock.unlock();
    Report report = run(job, abandoned);
    lock.lock();
    job_.reset();
    report_ = std::move(report);
    changed_.notify_all();
  }
}

// A tensor-parallel group keeps its communicator from task to task: its model holds it. It is not closed, as its ranks
// go different ways.
Communicator WorkerThread::group_of(const Job& job, const std::stop_token& abandoned) {
  if (job.tensor_group == 0 || job.tensor_group != tensor_group_number_) {
    tensor_group_ = {};
    tensor_group_number_ = 0;
    const Communicator made = world_.group(job.ranks, job.id % group_ids, abandoned);
    if (job.tensor_group == 0) return made;
    tensor_group_ = made;
    tensor_group_number_ = job.tensor_group;
  }
  return tensor_group_;
}

WorkerThread::Report WorkerThread::run(const Job& job, const std::stop_token& abandoned) {
  try {
    const Communicator group = group_of(job, abandoned);
    Task task = plan_.tasks.at(job.task);
    task.taken_over = job.taken_over;
    run_(task, group);
    if (job.tensor_group == 0) group.close();
    return {job.id, Result::done, "", ExitCode::done};
  } catch (const Stopped& stopped) {
    return {job.id, Result::stopped, stopped.what(), stopped.code()};
  } catch (const Error& error) {
    return {job.id, Result::failed, error.what(), error.code()};
  } catch (const std::exception& error) {
    return {job.id, Result::failed, error.what(), ExitCode::internal};
  } catch (...) {
    return {job.id, Result::failed, "an exception that is no std::exception", ExitCode::internal};
  }
}

}  // namespace cmc::distributed
