// One interface in this process's own network namespace: a TUN device, whose packets the caller reads and writes.

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

ifreq named(const char* name) noexcept {
  ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  return request;
}

bool has_address(int control, const char* name, unsigned long what, uint32_t address) noexcept {
  ifreq request = named(name);
  auto* to = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  to->sin_family = AF_INET;
  to->sin_addr.s_addr = htonl(address);
  return ioctl(control, what, &request) == 0;
}

bool is_up(int control, const char* name) noexcept {
  ifreq request = named(name);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return ioctl(control, SIOCSIFFLAGS, &request) == 0;
}

bool settled(int tunnel, int control, const char* name, uint32_t address, uint32_t mask, int mtu) noexcept {
  ifreq request = named(name);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(tunnel, TUNSETIFF, &request) != 0) return false;
  ifreq size = named(name);
  size.ifr_mtu = mtu;
  return has_address(control, name, SIOCSIFADDR, address) && has_address(control, name, SIOCSIFNETMASK, mask) &&
         ioctl(control, SIOCSIFMTU, &size) == 0 && is_up(control, name) && is_up(control, "lo");
}

}  // namespace

extern "C" {

// Makes the interface `name` with an address, and wakes the loopback interface. Returns the device's descriptor, -1 where
// the kernel does not let us.
int depa_network_open(const char* name, uint32_t address, uint32_t mask, int mtu) noexcept {
  const int tunnel = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool done =
      tunnel >= 0 && control >= 0 && settled(tunnel, control, name, address, mask, mtu);
  if (control >= 0) close(control);
  if (!done && tunnel >= 0) close(tunnel);
  return done ? tunnel : -1;
}
}
