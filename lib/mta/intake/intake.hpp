// The way into the queue, all of it: see message.hpp (one message), context.hpp (what messages share) and
// maildrop_reader.hpp (files of local submission).
#pragma once

#include <mta/intake/context.hpp>
#include <mta/intake/maildrop_reader.hpp>
#include <mta/intake/message.hpp>
