using System.Buffers.Binary;

namespace VhdService.Testing;

/// <summary>A guest that reads as fast as the host answers: packets are made once, and each round sends and receives as many as the depth says.</summary>
internal sealed class ReadLoad : IDisposable
{
    private readonly DirectWorld _world;
    private readonly GuestChannel _channel;
    private readonly byte[][] _packets;
    private readonly GuestData[] _data;
    private readonly byte[] _answer = new byte[4096];
    private readonly int _blockSize;

    public ReadLoad(DirectWorld world, GuestStorvsc driver, int depth, int readSize, int blockSize = 512)
    {
        _world = world;
        _channel = driver.Channels[0];
        _blockSize = blockSize;
        _data = [.. Enumerable.Range(0, depth).Select(_ => new GuestData(driver.Bus.Ram, readSize))];
        _packets = [.. _data.Select((data, index) => GuestStorvsc.BuildRequest((ulong)index + 1, MiniSd.TransferCdb(0x28, 0, readSize / blockSize), SrbData.Read, data))];
    }

    public int Depth => _packets.Length;

    /// <summary>How often the guest signalled.</summary>
    public long SignalCount => _channel.SignalCount;

    /// <summary>One round of reads.</summary>
    /// <param name="offsets">Bytes on the disk, one for each.</param>
    public void Run(ReadOnlySpan<long> offsets)
    {
        for (var index = 0; index < _packets.Length; index++)
        {
            BinaryPrimitives.WriteUInt32BigEndian(_packets[index].AsSpan(_packets[index].Length - 34), (uint)(offsets[index] / _blockSize)); // the CDB's LBA
            if (!_channel.TrySend(_packets[index]))
            {
                throw new InvalidOperationException("The ring has no room for the depth.");
            }
        }

        var left = _packets.Length;
        while (left > 0)
        {
            _world.Run();
            while (_channel.Incoming.TryRead(_answer, out var signal) > 0)
            {
                left--;
                if (_answer[16 + 14] != 1)
                {
                    throw new InvalidOperationException($"A read ended with 0x{_answer[16 + 14]:X}.");
                }

                if (signal)
                {
                    _channel.Signal();
                }
            }

            _channel.Bus.Processors.TakeEvent(_channel.Processor, _channel.Offer.Relid);
        }
    }

    /// <summary>The guest's pages of a read, in order.</summary>
    public IReadOnlyList<ulong> Pages(int index) => _data[index].Pages;

    public byte[] Data(int index) => _data[index].ToArray();

    public void Dispose()
    {
        foreach (var data in _data)
        {
            data.Dispose();
        }
    }
}
