// The five classes of domains: who takes their mail.
#pragma once

namespace mta::rewrite {

enum class address_class { local, virtual_alias, virtual_mailbox, relay, other };

} // namespace mta::rewrite
