using BenchmarkDotNet.Attributes;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Testing;

namespace VhdCore.Benchmarks.Micro;

/// <summary>
/// Requests of 4 KiB at random places of disks in the page cache, in batches that are in flight together. VHDKIT_ENGINE=uring|portable chooses the engine.
/// </summary>
[Config(typeof(InProcess))]
[MemoryDiagnoser]
public class RequestBenchmarks
{
    private const int RequestSize = 4096; // bytes
    private const int Requests = 1024; // of one invocation

    private readonly long[] _offsets = new long[Requests];
    private TempFolder? _folder;
    private VirtualDisk? _disk;
    private NativeBuffer? _buffer;
    private ValueTask<BlockStatus>[] _pending = [];

    public static IEnumerable<string> Disks => DiskSetup.Names;

    [ParamsSource(nameof(Disks))]
    public string Disk { get; set; } = "";

    [Params(1, 32)]
    public int Depth { get; set; }

    [GlobalSetup]
    public async Task SetUp()
    {
        _folder = new TempFolder();
        _disk = await DiskSetup.OpenAsync(_folder, Disk, writable: true);
        _buffer = new NativeBuffer(Depth * RequestSize);
        _pending = new ValueTask<BlockStatus>[Depth];
        var random = new Random(2);
        for (var i = 0; i < Requests; i++)
        {
            _offsets[i] = random.Next(DiskSetup.Size / RequestSize) * (long)RequestSize;
        }

        await Reads();
    }

    [GlobalCleanup]
    public async Task CleanUp()
    {
        await _disk!.DisposeAsync();
        _buffer!.Dispose();
        _folder!.Dispose();
    }

    [Benchmark(OperationsPerInvoke = Requests)]
    public Task Reads() => RunAsync(isWrite: false);

    [Benchmark(OperationsPerInvoke = Requests)]
    public Task Writes() => RunAsync(isWrite: true);

    private async Task RunAsync(bool isWrite)
    {
        var device = _disk!.Device;
        for (var first = 0; first < Requests; first += Depth)
        {
            for (var i = 0; i < Depth; i++)
            {
                var memory = _buffer!.Slice(i * RequestSize, RequestSize);
                _pending[i] = isWrite ? device.WriteAsync(_offsets[first + i], memory) : device.ReadAsync(_offsets[first + i], memory);
            }

            for (var i = 0; i < Depth; i++)
            {
                if (await _pending[i] is var status and not BlockStatus.Ok)
                {
                    throw new IOException($"A request ended with {status}.");
                }
            }
        }
    }
}
