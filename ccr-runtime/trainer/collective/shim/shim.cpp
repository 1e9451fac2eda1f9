// A thin C door to c10d with gloo, as shipped inside libtorch_cpu.so: join a group, sum a vector, leave.
//
// Every function catches every exception and answers a number: 0 done, 1 failed. Texts of exceptions may hold addresses
// and shapes; they end here.

#define USE_C10D_GLOO

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <ATen/ops/from_blob.h>

#include <chrono>
#include <memory>
#include <new>
#include <vector>

namespace {

struct Group {
  c10::intrusive_ptr<c10d::TCPStore> store;
  std::unique_ptr<c10d::ProcessGroupGloo> gloo;
};

int sum(Group* group, void* values, int64_t count, at::ScalarType kind) noexcept {
  try {
    std::vector<at::Tensor> tensors{at::from_blob(values, {count}, kind)};
    return group->gloo->allreduce(tensors, c10d::AllreduceOptions())->wait() ? 0 : 1;
  } catch (...) {
    return 1;
  }
}

}  // namespace

extern "C" {

// Joins a group whose first member listens at `first` and this one at `own`, both addresses in digits. `listener` is a
// listening socket on `port` that the first member hands over, -1 for the others. Returns null where the group did not
// come together in time.
Group* depa_group_join(const char* first, const char* own, uint16_t port, int listener, int rank, int size,
                       int64_t timeout_ms) noexcept {
  try {
    const std::chrono::milliseconds timeout(timeout_ms);
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = rank == 0;
    options.numWorkers = size;
    options.waitWorkers = true;
    options.timeout = timeout;
    options.useLibUV = false;  // the plain server takes a socket over as it is
    if (rank == 0) options.masterListenFd = listener;
    auto group = std::make_unique<Group>();
    group->store = c10::make_intrusive<c10d::TCPStore>(first, options);
    auto gloo = c10d::ProcessGroupGloo::Options::create(timeout);
    gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(own));
    group->gloo = std::make_unique<c10d::ProcessGroupGloo>(group->store, rank, size, gloo);
    return group.release();
  } catch (...) {
    return nullptr;
  }
}

// Replaces the values of every member by their sum over the group.
int depa_group_sum_f64(Group* group, double* values, int64_t count) noexcept {
  return sum(group, values, count, at::kDouble);
}

// As above, in whole numbers.
int depa_group_sum_i64(Group* group, int64_t* values, int64_t count) noexcept {
  return sum(group, values, count, at::kLong);
}

// Replaces the values of the first member by the sum over the group; those of the others are of no use then.
int depa_group_gather_f64(Group* group, double* values, int64_t count) noexcept {
  try {
    std::vector<at::Tensor> tensors{at::from_blob(values, {count}, at::kDouble)};
    return group->gloo->reduce(tensors, c10d::ReduceOptions())->wait() ? 0 : 1;  // to rank 0
  } catch (...) {
    return 1;
  }
}

// Replaces the values of every member by those of the first.
int depa_group_spread_f64(Group* group, double* values, int64_t count) noexcept {
  try {
    std::vector<at::Tensor> tensors{at::from_blob(values, {count}, at::kDouble)};
    return group->gloo->broadcast(tensors, c10d::BroadcastOptions())->wait() ? 0 : 1;  // from rank 0
  } catch (...) {
    return 1;
  }
}

// Leaves the group.
void depa_group_leave(Group* group) noexcept {
  try {
    delete group;
  } catch (...) {
  }
}
}
