//! Facts about a relay as a whole, over real sockets.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::time::Instant;

const RTT: Duration = Duration::from_millis(40);
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 77, 1, 1);
const OTHER_CLIENT: Ipv4Addr = Ipv4Addr::new(127, 77, 2, 1);

/// A node that answers each datagram and each stream with what it got. It keeps its ports until it is dropped.
struct EchoNode {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl EchoNode {
    fn start() -> Self {
        let ports = PortPair::any(Ipv4Addr::LOCALHOST).unwrap();
        let address = ports.address().unwrap();
        ports.udp.set_nonblocking(true).unwrap();
        ports.tcp.set_nonblocking(true).unwrap();
        let udp = UdpSocket::from_std(ports.udp).unwrap();
        let tcp = TcpListener::from_std(ports.tcp).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut buffer = vec![0; 65_535];
            while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                udp.send_to(&buffer[..length], from).await.unwrap();
            }
        });
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(async move {
                    let (mut reads, mut writes) = stream.split();
                    let _ = tokio::io::copy(&mut reads, &mut writes).await;
                    let _ = writes.shutdown().await;
                });
            }
        });
        Self { address, _tasks: tasks }
    }
}

fn relay_to(node: SocketAddr, rtt: Duration) -> Relay {
    Relay::start(PortPair::any(Ipv4Addr::LOCALHOST).unwrap(), node, rtt).unwrap()
}

async fn udp_client(ip: Ipv4Addr, peer: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).await.unwrap();
    socket.connect(peer).await.unwrap();
    socket
}

async fn tcp_client(ip: Ipv4Addr, peer: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((ip, 0).into())?;
    let stream = socket.connect(peer).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn ask_udp(socket: &UdpSocket, question: &[u8]) -> Vec<u8> {
    socket.send(question).await.unwrap();
    let mut answer = vec![0; 65_535];
    let length = socket.recv(&mut answer).await.unwrap();
    answer.truncate(length);
    answer
}

async fn ask_tcp(stream: &mut TcpStream, question: &[u8]) -> Vec<u8> {
    stream.write_all(question).await.unwrap();
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

async fn until(relay: &Relay, condition: impl FnMut(&Counters) -> bool) {
    let mut counters = relay.counters();
    // Long enough for any machine: what it bounds is a test that would fail.
    let waited = tokio::time::timeout(Duration::from_secs(20), counters.wait_for(condition)).await;
    waited.expect("the relay counts what happened").unwrap();
}

#[tokio::test]
async fn a_datagram_and_its_answer_take_a_round_trip() {
    let node = EchoNode::start();
    let relay = relay_to(node.address, RTT);
    let (direct, relayed) = (udp_client(CLIENT, node.address).await, udp_client(CLIENT, relay.address()).await);
    let (mut direct_time, mut relayed_time) = (Duration::ZERO, Duration::ZERO);
    for n in 0..10u8 {
        let start = Instant::now();
        assert_eq!(ask_udp(&direct, &[n]).await, [n]);
        direct_time += start.elapsed();
        let start = Instant::now();
        assert_eq!(ask_udp(&relayed, &[n]).await, [n]);
        assert!(start.elapsed() >= RTT);
        relayed_time += start.elapsed();
    }
    eprintln!("of {RTT:?} asked for: relayed {:?}, direct {:?}", relayed_time / 10, direct_time / 10);
}

#[tokio::test]
async fn the_first_answer_on_a_new_connection_takes_two_round_trips_and_later_ones_one() {
    let node = EchoNode::start();
    let relay = relay_to(node.address, RTT);
    let start = Instant::now();
    let mut stream = tcp_client(CLIENT, relay.address()).await.unwrap();
    assert_eq!(ask_tcp(&mut stream, b"first").await, b"first");
    let first = start.elapsed();
    assert!(first >= 2 * RTT);
    let start = Instant::now();
    assert_eq!(ask_tcp(&mut stream, b"second").await, b"second");
    let second = start.elapsed();
    assert!(second >= RTT);
    eprintln!("of {RTT:?} asked for: first answer after {first:?}, second after {second:?}");
}

#[tokio::test]
async fn the_first_words_of_a_client_reach_the_node_after_a_round_trip_and_a_half() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let relay = relay_to(listener.local_addr().unwrap(), RTT);
    let start = Instant::now();
    let mut client = tcp_client(CLIENT, relay.address()).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    let (mut node, _) = listener.accept().await.unwrap();
    assert!(start.elapsed() >= RTT / 2);
    node.read_exact(&mut [0; 5]).await.unwrap();
    assert!(start.elapsed() >= RTT * 3 / 2);
}

#[tokio::test]
async fn a_node_that_speaks_first_is_heard_after_two_round_trips() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let relay = relay_to(listener.local_addr().unwrap(), RTT);
    let greeting = tokio::spawn(async move { listener.accept().await.unwrap().0.write_all(b"hello").await });
    let start = Instant::now();
    let mut stream = tcp_client(CLIENT, relay.address()).await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(start.elapsed() >= 2 * RTT);
    assert_eq!(heard, b"hello");
    greeting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_node_that_refuses_is_told_after_one_round_trip() {
    let gone = PortPair::any(Ipv4Addr::LOCALHOST).unwrap().address().unwrap();
    let relay = relay_to(gone, RTT);
    let start = Instant::now();
    let mut stream = tcp_client(CLIENT, relay.address()).await.unwrap();
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(start.elapsed() >= RTT);
}

#[tokio::test]
async fn the_longest_datagram_passes_and_the_empty_one() {
    let node = EchoNode::start();
    let relay = relay_to(node.address, Duration::ZERO);
    let client = udp_client(CLIENT, relay.address()).await;
    // What IPv4 leaves of 65,535 beside its own header and UDP's.
    let longest: Vec<u8> = (0..65_507u32).map(|n| n as u8).collect();
    assert_eq!(ask_udp(&client, &longest).await, longest);
    assert_eq!(ask_udp(&client, b"").await, b"");
}

#[tokio::test]
async fn a_stream_longer_than_the_line_arrives_whole_and_its_end_too() {
    let node = EchoNode::start();
    let relay = relay_to(node.address, Duration::from_millis(2));
    let sent: Vec<u8> = (0..6_000_000u32).map(|n| (n / 251) as u8).collect();
    let (mut reads, mut writes) = tcp_client(CLIENT, relay.address()).await.unwrap().into_split();
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        writes.write_all(&sent).await.unwrap();
        writes.shutdown().await.unwrap();
    });
    let mut echoed = Vec::new();
    reads.read_to_end(&mut echoed).await.unwrap();
    writing.await.unwrap();
    assert!(echoed == expected, "{} of {} octets came back, or others", echoed.len(), expected.len());
}

#[tokio::test]
async fn a_broken_connection_is_broken_on_the_other_side() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let relay = relay_to(listener.local_addr().unwrap(), Duration::from_millis(2));
    let client = tcp_client(CLIENT, relay.address()).await.unwrap();
    let (mut node, _) = listener.accept().await.unwrap();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(node.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn the_node_sees_the_clients_own_network() {
    let ports = PortPair::any(Ipv4Addr::LOCALHOST).unwrap();
    let relay = relay_to(ports.address().unwrap(), Duration::ZERO);
    let client = udp_client(CLIENT, relay.address()).await;
    client.send(b"?").await.unwrap();
    ports.udp.set_nonblocking(true).unwrap();
    let (_, seen) = UdpSocket::from_std(ports.udp).unwrap().recv_from(&mut [0]).await.unwrap();
    assert_eq!(seen.ip(), CLIENT);
    assert_ne!(seen, client.local_addr().unwrap());

    ports.tcp.set_nonblocking(true).unwrap();
    let _client = tcp_client(CLIENT, relay.address()).await.unwrap();
    let (_, seen) = TcpListener::from_std(ports.tcp).unwrap().accept().await.unwrap();
    assert_eq!(seen.ip(), CLIENT);
}

#[tokio::test]
async fn two_clients_are_two_flows_and_each_gets_its_own_answers() {
    let node = EchoNode::start();
    let relay = relay_to(node.address, Duration::from_millis(2));
    let (one, two) = (udp_client(CLIENT, relay.address()).await, udp_client(CLIENT, relay.address()).await);
    let (first, second) = tokio::join!(ask_udp(&one, b"one"), ask_udp(&two, b"two"));
    assert_eq!((first.as_slice(), second.as_slice()), (b"one".as_slice(), b"two".as_slice()));
    assert_eq!(relay.counters().borrow().flows, 2);
}

#[tokio::test]
async fn a_paused_relay_drops_datagrams_and_streams_go_on_when_it_is_resumed() {
    let node = EchoNode::start();
    let relay = relay_to(node.address, Duration::from_millis(2));
    let client = udp_client(CLIENT, relay.address()).await;
    let mut stream = tcp_client(CLIENT, relay.address()).await.unwrap();
    assert_eq!(ask_udp(&client, b"before").await, b"before");
    assert_eq!(ask_tcp(&mut stream, b"before").await, b"before");

    relay.pause();
    client.send(b"lost").await.unwrap();
    stream.write_all(b"waits").await.unwrap();
    let mut late = tcp_client(CLIENT, relay.address()).await.unwrap();
    late.write_all(b"late").await.unwrap();
    until(&relay, |counters| counters.stopped == 1).await;
    relay.resume();

    assert_eq!(ask_udp(&client, b"after").await, b"after");
    let mut waited = [0; 5];
    stream.read_exact(&mut waited).await.unwrap();
    assert_eq!(&waited, b"waits");
    late.read_exact(&mut waited[..4]).await.unwrap();
    assert_eq!(&waited[..4], b"late");
}

#[tokio::test]
async fn a_stream_waits_while_its_network_is_cut_off_and_others_go_on() {
    let node = EchoNode::start();
    let relay = relay_to(node.address, Duration::from_millis(2));
    let mut cut = tcp_client(CLIENT, relay.address()).await.unwrap();
    let mut free = tcp_client(OTHER_CLIENT, relay.address()).await.unwrap();
    ask_tcp(&mut cut, b"before").await;
    ask_tcp(&mut free, b"before").await;
    relay.cut_off_from([CLIENT]);
    cut.write_all(b"waits").await.unwrap();
    for _ in 0..10 {
        ask_tcp(&mut free, b"passes").await;
    }
    assert_eq!(cut.try_read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    relay.cut_off_from([]);
    let mut waited = [0; 5];
    cut.read_exact(&mut waited).await.unwrap();
    assert_eq!(&waited, b"waits");
}

#[tokio::test]
async fn a_pause_catches_what_is_under_way() {
    let silent = PortPair::any(Ipv4Addr::LOCALHOST).unwrap();
    let relay = relay_to(silent.address().unwrap(), Duration::from_millis(400));
    let client = udp_client(CLIENT, relay.address()).await;
    client.send(b"under way").await.unwrap();
    until(&relay, |counters| counters.flows == 1).await;
    relay.pause();
    until(&relay, |counters| counters.stopped == 1).await;
}

#[tokio::test]
async fn a_partition_cuts_off_one_network_and_not_the_other() {
    let node = EchoNode::start();
    let relay = relay_to(node.address, Duration::from_millis(2));
    let (cut, free) = (udp_client(CLIENT, relay.address()).await, udp_client(OTHER_CLIENT, relay.address()).await);
    relay.cut_off_from([CLIENT]);
    cut.send(b"lost").await.unwrap();
    until(&relay, |counters| counters.stopped == 1).await;
    assert_eq!(ask_udp(&free, b"passes").await, b"passes");
    relay.cut_off_from([]);
    assert_eq!(ask_udp(&cut, b"healed").await, b"healed");
}

#[tokio::test]
async fn an_idle_flow_is_closed_and_opened_again_when_needed() {
    let node = EchoNode::start();
    let limits = udp::Limits { idle: Duration::from_millis(20), flows: 4 };
    let ports = PortPair::any(Ipv4Addr::LOCALHOST).unwrap();
    let relay = Relay::start_with(ports, node.address, Duration::ZERO, limits).unwrap();
    let client = udp_client(CLIENT, relay.address()).await;
    assert_eq!(ask_udp(&client, b"once").await, b"once");
    until(&relay, |counters| counters.flows == 0).await;
    assert_eq!(ask_udp(&client, b"again").await, b"again");
}

#[tokio::test]
async fn at_the_limit_a_new_flow_takes_the_place_of_the_idlest() {
    let node = EchoNode::start();
    let limits = udp::Limits { idle: Duration::from_secs(3_600), flows: 2 };
    let ports = PortPair::any(Ipv4Addr::LOCALHOST).unwrap();
    let relay = Relay::start_with(ports, node.address, Duration::from_millis(2), limits).unwrap();
    for n in 0..5u8 {
        let client = udp_client(CLIENT, relay.address()).await;
        assert_eq!(ask_udp(&client, &[n]).await, [n]);
        assert_eq!(relay.counters().borrow().flows, usize::from(n + 1).min(2));
    }
}

#[tokio::test]
async fn a_dropped_relay_gives_its_port_back() {
    let node = EchoNode::start();
    let relay = relay_to(node.address, Duration::ZERO);
    let SocketAddr::V4(address) = relay.address() else { panic!("the relay listens on IPv4") };
    let client = udp_client(CLIENT, relay.address()).await;
    assert_eq!(ask_udp(&client, b"up").await, b"up");
    let Relay { _tasks: mut tasks, .. } = relay;
    tasks.shutdown().await;
    PortPair::at(address).unwrap();
}
