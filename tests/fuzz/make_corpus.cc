// Writes the first inputs of the fuzz targets: small, valid, one for each kind of message or file,
// so that a fuzzer starts inside the decoders. Usage: fuzz_make_corpus CORPUS_DIR
#include <elf.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <variant>
#include <vector>

#include "launcher/exchange/exchange_messages.h"
#include "launcher/image/digest_cache.h"
#include "launcher/image/image_messages.h"
#include "launcher/image/seal.h"
#include "launcher/link/handshake.h"
#include "launcher/link/little_endian.h"
#include "launcher/link/record.h"
#include "launcher/staging/datagram.h"
#include "launcher/template/batch_blob.h"
#include "launcher/tree/join_lines.h"
#include "launcher/tree/tree_messages.h"
#include "launcher/wire/dvm_messages.h"
#include "launcher/wire/messages.h"
#include "sched/topology/topology_cache.h"
#include "tests/unit/exchange/samples.h"
#include "tests/unit/part/samples.h"
#include "tests/unit/pmix_proto/samples.h"
#include "tests/unit/tree/tree_samples.h"

namespace rex {
namespace {

using namespace std::string_literals;

class Corpus {
 public:
  Corpus(const std::filesystem::path& base, const char* target) : dir_(base / target) {
    std::filesystem::create_directories(dir_);
  }
  void Add(const std::string& name, const std::string& bytes) const {
    std::ofstream out(dir_ / name, std::ios::binary | std::ios::trunc);
    out << bytes;
    out.close();
    if (!out) std::fprintf(stderr, "cannot write %s\n", (dir_ / name).c_str());
  }

 private:
  std::filesystem::path dir_;
};

template <typename T>
std::string Raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string Frame(uint8_t kind, FrameClass frame_class, std::string_view payload, bool more) {
  const auto header =
      EncodeFrameHeader({static_cast<uint32_t>(payload.size()), kind, frame_class, more});
  return std::string(header.data(), header.size()) + std::string(payload);
}

void PartMessageInputs(const Corpus& corpus) {
  for (const PartFrame& frame : SampleFrames()) {
    corpus.Add("kind_" + std::to_string(frame.kind),
               std::string(1, static_cast<char>(frame.kind)) + frame.payload);
  }
}

void FrameReaderInputs(const Corpus& corpus) {
  const std::string settings = "\x04\x10";  // pieces of 5 bytes, messages of 64 KiB
  const std::string first = Frame(1, FrameClass::kControl, "hello", false);
  const std::string interleaved = Frame(16, FrameClass::kStdio, "part one, ", true) +
                                  Frame(8, FrameClass::kControl, "", false) +
                                  Frame(16, FrameClass::kStdio, "part two", false);
  corpus.Add("one", settings + first);
  corpus.Add("interleaved", settings + first + interleaved);
  corpus.Add("too_large", "\x04\x02" + first);
  corpus.Add("broken_off", settings + Frame(1, FrameClass::kControl, "a", true) +
                               Frame(2, FrameClass::kControl, "b", false));
  corpus.Add("unfinished", settings + interleaved.substr(0, 30));
}

HandshakeNonce NonceFrom(unsigned char first) {
  HandshakeNonce nonce;
  std::iota(nonce.begin(), nonce.end(), first);
  return nonce;
}

// What both ends say in a handshake as link_handshake_fuzz.cc has it; the child of `version`.
std::vector<std::string> HandshakeTranscript(const std::string& version,
                                             LinkStream stream = LinkStream::kTcp) {
  LinkKey key;
  key.bytes.fill(7);
  HandshakeParams params;
  params.stream = stream;
  params.dvm.bytes.fill(9);
  params.key = &key;
  params.version = "1.0";
  params.peer = NodeId{3};
  Handshake parent(params, NonceFrom(0x80));
  params.role = LinkRole::kChild;
  params.version = version;
  params.self = NodeId{3};
  params.peer = NodeId{0};
  Handshake child(params, NonceFrom(0x20));
  std::vector<std::string> said;
  Handshake* ends[] = {&child, &parent};
  for (size_t i = 0; i < 3; ++i) {
    said.push_back(ends[i % 2]->TakeOutput());
    Handshake& to = *ends[(i + 1) % 2];
    for (std::string_view rest = said.back(); !rest.empty() && to.wanted_bytes() > 0;) {
      const size_t n = std::min(rest.size(), to.wanted_bytes());
      if (!to.Feed(rest.substr(0, n))) break;
      rest.remove_prefix(n);
    }
  }
  return said;
}

void LinkHandshakeInputs(const Corpus& corpus) {
  const auto said = HandshakeTranscript("1.0");
  const auto other = HandshakeTranscript("2.0");
  corpus.Add("to_parent", "\x00\xff"s + said[0] + said[2]);
  corpus.Add("to_parent_with_list", "\x02\x07"s + said[0] + said[2]);
  corpus.Add("to_child", "\x01\x20"s + said[1]);
  corpus.Add("other_version_to_parent", "\x00\x30"s + other[0]);
  corpus.Add("other_version_to_child", "\x01\x30"s + other[1]);
  corpus.Add("reflected_to_child", "\x01\x30"s + said[0]);
  corpus.Add("reflected_to_parent", "\x00\x30"s + said[0] + said[1]);
  const auto uplink = HandshakeTranscript("1.0", LinkStream::kUplink);
  std::string unknown = uplink[0];
  unknown[kHandshakePrefixBytes + 8] = 3;
  corpus.Add("uplink_to_parent", "\x04\xff"s + uplink[0] + uplink[2]);
  corpus.Add("uplink_to_parent_with_list", "\x02\x09"s + uplink[0] + uplink[2]);
  corpus.Add("uplink_to_child", "\x05\x20"s + uplink[1]);
  corpus.Add("uplink_to_parent_of_a_link", "\x00\xff"s + uplink[0] + uplink[2]);
  corpus.Add("unknown_stream_to_parent_with_list", "\x02\xff"s + unknown + uplink[2]);
  corpus.Add("links_proof_to_parent_of_an_uplink", "\x04\xff"s + uplink[0] + said[2]);
  corpus.Add("web_browser",
             "\x00\xff"s + "GET / HTTP/1.1\r\nHost: n1\r\nUser-Agent: nobody\r\n\r\n");
}

// A record as link_records_fuzz.cc seals it.
std::string PlainRecord(RecordType type, const std::string& contents, uint8_t more_type = 0) {
  std::string out(1, static_cast<char>(static_cast<uint8_t>(type) | more_type));
  AppendLe(out, static_cast<uint16_t>(contents.size()));
  return out + contents;
}

std::string Number(uint64_t number) {
  std::string out;
  AppendLe(out, number);
  return out;
}

void LinkRecordInputs(const Corpus& corpus) {
  LinkKey key;
  key.bytes.fill(7);
  RecordSealer sealer(key);
  std::string sealed;
  sealer.Seal(RecordType::kPing, Number(1), sealed);
  sealer.Seal(RecordType::kFrame, Frame(1, FrameClass::kControl, "hello", false), sealed);
  corpus.Add("sealed", "\x0e"s + sealed);
  corpus.Add("sealed_cut", "\x02"s + sealed.substr(0, sealed.size() - 3));
  const auto frame = [](FrameClass frame_class, const char* text, bool more) {
    return PlainRecord(RecordType::kFrame, Frame(1, frame_class, text, more));
  };
  const std::string messages = frame(FrameClass::kData, "one, ", true) +
                               frame(FrameClass::kControl, "now", false) +
                               frame(FrameClass::kData, "two", false);
  const std::string small = PlainRecord(RecordType::kPing, Number(5)) +
                            PlainRecord(RecordType::kPong, Number(5) + Number(6)) +
                            PlainRecord(RecordType::kAck, Number(0));
  const std::string moved = PlainRecord(RecordType::kMoved, "");
  corpus.Add("messages", "\x01"s + messages + small);
  corpus.Add("held_back", "\x01"s + PlainRecord(RecordType::kPing, Number(5), 0x80) + messages +
                              PlainRecord(RecordType::kPing, Number(6), 0xc0) + messages);
  corpus.Add("moved", "\x03"s + messages + moved + small + messages);
  corpus.Add("moved_without_tcp", "\x01"s + moved + messages);
  corpus.Add("moved_twice", "\x03"s + moved + moved);
  corpus.Add("ack_of_nothing", "\x01"s + PlainRecord(RecordType::kAck, Number(9)));
  corpus.Add("half_a_frame", "\x01"s + PlainRecord(RecordType::kFrame, "half"));
}

JobSpec SampleSpec() {
  JobSpec job;
  job.apps = {{{"./a", "x y"}, 2, "", {"A=1"}}, {{"b"}, 1, "/tmp", {}}};
  job.env = {"PATH=/bin", "LATIN=\xe9"};
  job.cwd = "/home/u";
  job.stdin_rank = 1;
  job.timeout = std::chrono::milliseconds(1500);
  job.verbose = true;
  job.timer_slack = std::chrono::microseconds(5000);
  return job;
}

JobEnded SampleEnd() {
  JobEnded ended;
  ended.exit_code = 139;
  ended.failure.kind = FailureKind::kRankSignal;
  ended.failure.rank = 1;
  ended.failure.node = "n1";
  ended.failure.pid = 4711;
  ended.failure.signo = 11;
  ended.failure.core_dumped = true;
  ended.failure.program = "./a";
  ended.failure.detail = "first\nsecond";
  ended.failure.others = 2;
  ended.phases = {{"births", std::chrono::microseconds(1), std::chrono::microseconds(9), "n1",
                   "agent", "\xff\""}};
  ended.state_report = {"rank 0: running"};
  return ended;
}

void LaunchMessageInputs(const Corpus& corpus) {
  corpus.Add("hello", "\0"s + ToWire(Hello{std::string(kProtocolVersion)}));
  corpus.Add("launch_job", "\1"s + ToWire(SampleSpec()));
  corpus.Add("signal", "\2"s + ToWire(SignalRanks{10}));
  corpus.Add("end_job", "\3"s + ToWire(EndJob{2}));
  corpus.Add("credit", "\4"s + ToWire(Credit{65536}));
  corpus.Add("notice", "\5"s + ToWire(Notice{Notice::Level::kWarning, "text"}));
  JobStarted started{"rex-1", {{0, "n1", 100, "exec"}, {1, "n1", 101, "exec"}}, 2};
  corpus.Add("job_started", "\6"s + ToWire(started));
  corpus.Add("job_ended", "\7"s + ToWire(SampleEnd()));
  corpus.Add("output", "\x08"s + EncodeOutput({3, OutputStream::kStderr, true}, "line\n"));
}

DvmRecord SampleRecord() {
  DvmRecord record;
  record.version = "0.1.0";
  record.name = "default";
  record.origin = "Slurm job 7";
  record.dvm.nodes.resize(2);
  record.dvm.nodes[0].name = "n1";
  record.dvm.nodes[1].name = "n2";
  record.inherited = {{"niceness", "0"}};
  record.agent_pid = 100;
  record.keeper_pid = 99;
  record.head = "login";
  return record;
}

void DvmMessageInputs(const Corpus& corpus) {
  StartDvm start;
  start.name = "default";
  start.idle_timeout = std::chrono::seconds(60);
  start.inherited = {{"niceness", "0"}};
  corpus.Add("start", "\0"s + ToWire(start));
  corpus.Add("record", "\1"s + ToWire(SampleRecord()));
  corpus.Add("declined", "\2"s + ToWire(Declined{"busy"}));
  corpus.Add("ask", "\3"s + ToWire(AskDvm{true, true}));
  DvmStatus status;
  status.record = SampleRecord();
  status.nodes = {{"n1", 4, 2, 1, false}, {"n2", 4, 2, 0, true}};
  corpus.Add("status", "\4"s + ToWire(status));
  DvmJobList jobs;
  jobs.jobs.push_back({1, "rex-1", 3, 2, 2, std::chrono::milliseconds(5), 0, 0, {"./a"}, "/", 9});
  jobs.jobs.push_back({2, "rex-2", 3, 1, 1, std::chrono::milliseconds(5), 1, 1, {"./b"}, "/", 9});
  corpus.Add("jobs", "\5"s + ToWire(jobs));
  DvmRankList ranks;
  ranks.ranks.push_back({1, 0, "n1", 10, RankState::kExited, 3, 0, true, "./a"});
  corpus.Add("ranks", "\6"s + ToWire(ranks));
  corpus.Add("stop", "\7"s + ToWire(StopDvm{true}));
  corpus.Add("kill", "\x08"s + ToWire(KillJob{1, 15}));
  corpus.Add("reply", "\x09"s + ToWire(DvmReply{true, "text"}));
}

void HostMessageInputs(const Corpus& corpus) {
  size_t number = 0;
  for (const pmix::HostMessage& message : pmix::SampleMessages()) {
    char name[32];
    std::snprintf(name, sizeof name, "%02zu_kind_%02zu", number++, message.index());
    corpus.Add(name, EncodeHostMessage(message));
  }
}

// One for each directive that is known, and some words for its value.
void SpawnRequestInputs(const Corpus& corpus) {
  corpus.Add("sample", EncodeHostMessage(pmix::SampleSpawn()));
  for (const char* pair :
       {"pmix.host n1:2,n0", "pmix.hostfile hosts", "pmix.wdir sub",
        "pmix.mapby node:OVERSUBSCRIBE", "pmix.rankby slot", "pmix.bindto core:overload-allowed",
        "pmix.ppr 2:n", "pmix.pers ompi", "pmix.prefix /opt", "pmix.mapper ppr", "pmix.stdin all",
        "pmix.envar.unset PATH"}) {
    const std::string text = pair;
    const size_t blank = text.find(' ');
    pmix::Spawn spawn = pmix::SampleSpawn();
    spawn.infos = {{text.substr(0, blank), pmix::SpawnInfo::Type::kText, text.substr(blank + 1)}};
    corpus.Add(text.substr(5, blank - 5), EncodeHostMessage(spawn));
  }
}

void ExchangeMessageInputs(const Corpus& corpus) {
  size_t number = 0;
  for (const CollectiveHeader& header : SampleCollectives()) {
    const std::string bulk = header.status == 0 ? "bulk" : "";
    corpus.Add("collective_" + std::to_string(number++),
               "\0"s + EncodeCollective(header, bulk.size()) + bulk);
  }
  corpus.Add("modex_ask", "\1"s + EncodeModex({7, {"rex-job", 5}, 0}, ""));
  corpus.Add("modex_answer", "\2"s + EncodeModex({7, {}, 0}, "bulk"));
  corpus.Add("modex_cancel", "\2"s + EncodeModex({7, {}, 0}, ""));
  corpus.Add("host_state", "\3"s + EncodeHostState({NodeId{3}, true}));
}

void BatchBlobInputs(const Corpus& corpus) {
  BirthBatch batch;
  batch.path = "/bin/echo";
  batch.argv = {"echo", "two words"};
  batch.wdir = "/tmp";
  batch.common_env = {"A=1"};
  batch.ranks.resize(2);
  batch.ranks[0].env = {"R=0"};
  batch.ranks[1].cpuset = {3};
  const std::string blob = EncodeBatch(batch, 4711);
  const rex_batch_request request{REX_BATCH_MAGIC, REX_BATCH_VERSION, 2, REX_BATCH_FIXED_FDS,
                                  blob.size()};
  corpus.Add("two_ranks", "\1"s + Raw(request) + blob);
  corpus.Add("cut", "\0"s + Raw(request) + blob.substr(0, blob.size() - 8));
}

// An ELF header, one program header and, behind them, the loader's path.
template <typename Header, typename Segment>
std::string ElfFile(uint8_t elf_class, uint16_t machine, uint16_t type, const std::string& loader) {
  Header header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = type;
  header.e_machine = machine;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Segment);
  header.e_phnum = 1;
  Segment segment{};
  segment.p_type = loader.empty() ? PT_LOAD : PT_INTERP;
  segment.p_offset = sizeof header + sizeof segment;
  segment.p_filesz = static_cast<decltype(segment.p_filesz)>(loader.size() + 1);
  return Raw(header) + Raw(segment) + loader + "\0"s;
}

void ProgramFileInputs(const Corpus& corpus) {
  const auto elf64 = ElfFile<Elf64_Ehdr, Elf64_Phdr>;
  corpus.Add("elf_no_loader", elf64(ELFCLASS64, EM_X86_64, ET_DYN, ""));
  corpus.Add("elf_loader", elf64(ELFCLASS64, EM_X86_64, ET_EXEC, "/lib64/ld-linux-x86-64.so.2"));
  corpus.Add("elf_lacks_loader", elf64(ELFCLASS64, EM_X86_64, ET_EXEC, "/no/ld\n.so"));
  corpus.Add("elf_aarch64", elf64(ELFCLASS64, EM_AARCH64, ET_EXEC, "/lib/ld-linux-aarch64.so.1"));
  corpus.Add("elf_object", elf64(ELFCLASS64, EM_X86_64, ET_REL, ""));
  corpus.Add("elf_32",
             ElfFile<Elf32_Ehdr, Elf32_Phdr>(ELFCLASS32, EM_386, ET_EXEC, "/lib/ld-linux.so.2"));
  corpus.Add("script", "#!/bin/sh\nexit 0\n");
  corpus.Add("script_argument", "#! /usr/bin/env -S python3 -u\n");
  corpus.Add("script_lacks_interpreter", "#!/no/such/interpreter\x1b[2J\n");
  corpus.Add("script_of_windows", "#!/bin/sh\r\n");
  corpus.Add("script_names_none", "#!\n");
  corpus.Add("text", "echo hello\n");
  corpus.Add("data", "\x00\x01\x02\xff"s);
}

void McaFileInputs(const Corpus& corpus) {
  corpus.Add("site", "# comment\n\nbtl = ^openib,usnic\nmtl=psm2\n btl_tcp_if_include = eth0 \n");
  corpus.Add("unclear", "pml = \"ob1\nname without value\n");
  corpus.Add("with_environment", "osc = ^ucx\n\0OMPI_MCA_pml=ucx\0UCX_TLS=tcp\0PATH=/bin\0"s);
  corpus.Add("other_files", "mca_base_param_files = /etc/x\npml_ucx_verbose = 1\n");
}

void TopologyCacheInputs(const Corpus& corpus) {
  const auto dir = std::filesystem::temp_directory_path() / "rex-make-corpus";
  const auto file = [&dir](const char* key, const char* xml) {
    const TopologyCache cache(dir, key);
    cache.Store(xml);
    const Result<std::string> text = ReadFile(cache.path());
    return text ? *text : "";
  };
  const std::string good = file("boot 1\nnode n\n", "<topology/>");
  corpus.Add("good", good);
  corpus.Add("cut", good.substr(0, good.size() - 4));
  corpus.Add("empty_xml", file("boot 1\nnode n\n", ""));
  corpus.Add("blank_in_xml", file("boot 1\nnode n\n", "<\n\n>"));
  corpus.Add("another_boot", file("boot 2\nnode n\n", "<topology/>"));
  std::filesystem::remove_all(dir);
}

void CommandLineInputs(const Corpus& corpus) {
  corpus.Add("plain", "\0-n\0"s + "4\0./app\0arg\0"s);
  corpus.Add("two_apps", "\0-np\0"s + "2\0--wdir\0/tmp\0a\0:\0-c\0001\0-x\0A=b=c\0b\0-n\0"s);
  corpus.Add("job_options",
             "\0--timeout=1.5\0-grace\0.25\0--stdin\0all\0--stdout=pipe\0--oversubscribe\0"
             "--timer-slack\0000\0-v\0-q\0--tag-output\0--timeline\0-\0--\0-a\0"s);
  corpus.Add("mca", "\0--mca\0btl\0self,vader\0--gmca\0pml\0^ucx\0a\0"s);
  corpus.Add("exports", "\2A=1\0MPIEXEC_TIMEOUT=3\0-x\0A\0-x\0B\0-n\0002\0\xe9t\xe9\0\xff\0"s);
  corpus.Add("environment", "\3PATH=/bin\0L=\xff\0PMIX_RANK=1\0a\0"s);
  corpus.Add("misspelt", "\0--tmieout\0003\0a\0"s);
  corpus.Add("help", "\0-h\0"s);
  corpus.Add("hosts",
             "\2SSH_TTY=x\0OMPI_MCA_plm_rsh_agent=ssh -x\0--host\0n1:2,joe@[::1]\0-N\0"
             "1\0--bynode\0--ssh\0ssh -F 'a b'\0--prefix\0/opt\0a\0:\0b\0--host\0n2\0"s);
  corpus.Add("hostfile", "\0--hostfile\0n1 slots=2\nn2 port=9\0--host\0n2:3\0--nolocal\0a\0"s);
  corpus.Add("virtual_nodes",
             "\0--virtual-nodes\0004:2\0--tree=two-level\0--start-timeout\0001\0--node-timeout\0"
             "2.5\0--max-modex\00064M\0--export=none\0a\0:\0b\0"s);
  corpus.Add("too_many", "\0-n\0001048577\0a\0"s);
}

void HostListInputs(const Corpus& corpus) {
  corpus.Add("hosts", "\0n1,joe@n2:4,10.0.0.1:*,[fe80::1]:2,::1"s);
  corpus.Add("repeats", "\0a,b:3,a,a:auto,b"s);
  corpus.Add("relative", "\0^a,+n1,+N2:3,+e,+e:2"s);
  corpus.Add("excluded", "\1a:2\n^b\n[fe80::1]:2\n"s);
  corpus.Add("options", "\0-oProxyCommand=x"s);
  corpus.Add("file",
             "\1# one\n\"n 1\" slots = 2 max_slots=4 // two\n/* three\n*/ joe@n2 cpus=3\n"
             "n3 username=jim port=2222\r\nn3\nfe80::1 max-slots=2\n"s);
  corpus.Add("bad_file", "\1n1 slots=0\n"s);
}

void NodeSetInputs(const Corpus& corpus) {
  corpus.Add("slurm", "\0tux[1-3,5],rack[0-1]_blade[00-11]-ib,login"s);
  corpus.Add("flux", "\1[005,4,11-13],foo[0-4]-eth2,foo1"s);
  corpus.Add("counts",
             "\2"
             "2(x3),1"s);
  corpus.Add("numbers",
             "\3"
             "0-47,50,52-53"s);
  corpus.Add("unfinished", "\0n[1-"s);
}

void AllocationInputs(const Corpus& corpus) {
  corpus.Add("slurm",
             "\4SLURM_JOB_ID=7\0SLURM_JOB_NODELIST=n[1-4]\0"
             "SLURM_TASKS_PER_NODE=2(x3),1\0SLURM_CPUS_PER_TASK=2\0"s);
  corpus.Add("pbs", "\2PBS_JOBID=5\0PBS_NODEFILE=f\0node01\nnode01\nnode02\n"s);
  corpus.Add("lsf", "\2LSB_JOBID=9\0LSB_MCPU_HOSTS=hostA 3 hostB 2 \0"s);
  corpus.Add("grid_engine",
             "\2JOB_ID=5\0PE_HOSTFILE=f\0n1 2 all.q@n1 UNDEFINED\nn2 3 q 0,0:0,1\n"s);
  corpus.Add("pals", "\2PALS_HOSTLIST=x1000c0s0b0n0,x1000c0s0b0n1\0PALS_PPN=4\0"s);
  corpus.Add(
      "flux",
      "\1"
      "FLUX_URI=u\0{\"version\":1,\"execution\":{\"R_lite\":[{\"rank\":\"19-22\","
      "\"children\":{\"core\":\"0-47\",\"gpu\":\"0-7\"}}],\"nodelist\":[\"node[186-189]\"]}}"s);
}

void DaemonNewsInputs(const Corpus& corpus) {
  corpus.Add("signal", "agent signal 9 pid 123");
  corpus.Add("exit", "host exit 134 pid 77");
  corpus.Add("nonsense", "host exit 300 pid 77");
}

void JoinLinesInputs(const Corpus& corpus) {
  LinkKey key;
  key.bytes.fill(0x5a);
  const LinkTerms terms{DvmId{}, NodeId{0}, NodeId{1}, std::chrono::seconds(120), 1 << 20};
  corpus.Add("marker", "\xff" + MarkerLine("0.1.0"));
  corpus.Add("marker_behind_noise", "\3Welcome!\n\x1erex\x1e" + MarkerLine("0.1.0"));
  corpus.Add("marker_without_end", "\xff" + MarkerLine(std::string(40, 'v')));
  corpus.Add("key", "\xff" + KeyLine(key, terms));
  corpus.Add("ssh_words", "\xffkex_exchange_identification: Connection closed by remote host\r\n");
  corpus.Add("keeper_news", "\xffrexd: agent signal 9 pid 77\n\x1b[31m\n");
}

void TreeMessageInputs(const Corpus& corpus) {
  corpus.Add("welcome", "\0"s + ToWire(testing::SampleWelcome()));
  corpus.Add("facts", "\1"s + ToWire(testing::SampleFacts()));
  corpus.Add("start_failed", "\2"s + ToWire(testing::SampleFailure()));
  corpus.Add("lost", "\3"s + ToWire(testing::SampleLost()));
  corpus.Add("late", "\4"s + ToWire(NodeLate{NodeId{3}, true}));
  corpus.Add("clock", "\5"s + ToWire(testing::SampleClock()));
  corpus.Add("notice", "\6"s + ToWire(TreeNotice{"text"}));
  corpus.Add("route", "\7"s + EncodeRoute({NodeId{1}, NodeId{2}}, "payload"));
  corpus.Add("broadcast", "\7"s + EncodeRoute({NodeId{0}, std::nullopt}, "payload"));
  const LinkKey key;
  BroadcastTicket ticket;
  ticket.version = "0.1.0";
  ticket.key = &key;
  ticket.parent_name = "login";
  ticket.port = 40001;
  ticket.addresses = {"192.0.2.1"};
  ticket.nodes = {{NodeId{1}, "n1", "", 0}};
  ticket.max_message_bytes = 1 << 20;
  corpus.Add("ticket", "\10"s + ToWire(ticket));
}

// A program with an interpreter, a library, an old and a new path; and damaged ones.
std::string ElfInput(bool lies) {
  const std::string strings = "\0libx.so.1\0libself.so\0/a:$ORIGIN/b\0"s;
  const uint64_t at = 0x200;
  const Elf64_Dyn dynamic[] = {
      {DT_NEEDED, {1}}, {DT_SONAME, {11}}, {DT_RUNPATH, {22}},
      {DT_RPATH, {22}}, {DT_STRTAB, {at}}, {DT_STRSZ, {lies ? ~uint64_t{0} : strings.size()}},
      {DT_NULL, {0}}};
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
  header.e_machine = EM_X86_64;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  Elf64_Phdr load{};
  load.p_type = PT_LOAD;
  load.p_filesz = 0x400;
  Elf64_Phdr section{};
  section.p_type = PT_DYNAMIC;
  section.p_offset = 0x300;
  section.p_filesz = sizeof dynamic;
  std::string file = Raw(header) + Raw(load) + Raw(section);
  file.resize(at);
  file += strings;
  file.resize(0x300);
  return file + Raw(dynamic);
}

void ElfInputs(const Corpus& corpus) {
  corpus.Add("library", ElfInput(false));
  corpus.Add("strings-beyond-the-end", ElfInput(true));
  corpus.Add("script", "#!/bin/sh\n");
  corpus.Add("cut", ElfInput(false).substr(0, 100));
}

void ImageInputs(const Corpus& corpus) {
  Image image;
  ImageFile file;
  file.path = file.place = "/a/b";
  file.digest.bytes = kBlockBytes + 1;
  file.digest.blocks = {BlockDigest("x"), BlockDigest("y")};
  file.digest.whole = WholeDigest(file.digest.bytes, file.digest.blocks);
  image.files = {file};
  image.apps = {{0, {0}}};
  corpus.Add("image", "\0"s + ToWire(image));
  BlockSet set(9);
  set.Add(3);
  corpus.Add("need", "\1"s + ToWire(ImageNeed{1, set, 4000, {"192.0.2.1"}}));
  corpus.Add("route",
             "\2"s + ToWire(ImageRoute{1, {7}, set, NodeId{2}, "n2", 4000, {"::1"}, {NodeId{3}}}));
  corpus.Add("repair", "\3"s + ToWire(ImageRepair{1, {7}, set, "why"}));
  corpus.Add("failed", "\4"s + ToWire(ImageFailed{1, "detail", "remedy", true}));
  corpus.Add("piece", "\5"s + SealPiece(TransferKey(), TransferId{1}, 5, "content"));
  corpus.Add("end", "\5"s + EndRecord());
  corpus.Add("entry", "\6"s + EncodeEntry({{1, 2, file.digest.bytes, 3, 4}, file.digest}));
  std::string cache = "glibc-ld.so.cache1.1"s;
  const uint32_t numbers[] = {1, 32, 0, 0, 0, 0, 0, 0x303, 72, 82, 0, 0, 0};
  for (const uint32_t number : numbers) cache += Raw(number);
  corpus.Add("cache", "\7"s + cache + "libc.so.6\0/lib/libc.so.6\0"s);
  corpus.Add("cast", "\10"s + ToWire(ImageCast{1, {7}, 0xef010203, 40000, set}));
  corpus.Add("heard", "\11"s + ToWire(ImageHeard{1, 2}));
  corpus.Add("gaps", "\12"s + ToWire(ImageGaps{1, 2, 3, {{4, 5}, {6, 7}}}));
  const Datagram fragment{DatagramKind::kFragment, 2, 3, 4, "content"};
  corpus.Add("datagram", "\13"s + EncodeDatagram({1, 2, 3, 4, 5, 6, 7, 8}, fragment));
}

void MakeCorpora(const std::filesystem::path& base) {
  BatchBlobInputs({base, "batch_blob"});
  CommandLineInputs({base, "command_line"});
  DaemonNewsInputs({base, "daemon_news"});
  ElfInputs({base, "elf"});
  ImageInputs({base, "image"});
  ExchangeMessageInputs({base, "exchange_messages"});
  PartMessageInputs({base, "part_messages"});
  FrameReaderInputs({base, "frame_reader"});
  HostListInputs({base, "host_list"});
  NodeSetInputs({base, "node_set"});
  AllocationInputs({base, "allocation"});
  HostMessageInputs({base, "host_messages"});
  SpawnRequestInputs({base, "spawn_request"});
  JoinLinesInputs({base, "join_lines"});
  DvmMessageInputs({base, "dvm_messages"});
  LaunchMessageInputs({base, "launch_messages"});
  LinkHandshakeInputs({base, "link_handshake"});
  LinkRecordInputs({base, "link_records"});
  McaFileInputs({base, "mca_file"});
  ProgramFileInputs({base, "program_file"});
  TopologyCacheInputs({base, "topology_cache"});
  TreeMessageInputs({base, "tree_messages"});
}

}  // namespace
}  // namespace rex

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_DIR\n", argv[0]);
    return 2;
  }
  rex::MakeCorpora(argv[1]);
  return 0;
}
